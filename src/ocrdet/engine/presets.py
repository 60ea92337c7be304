"""What families of detectors expect; a manifest names its preset and says only what differs.

Sources of the numbers, by preset: modelscope-db and webui from modelscope/modelscope
`models/cv/ocr_detection`, db-mhliao from MhLiao/DB, ppocr-det from PaddlePaddle/PaddleOCR, mmocr from
open-mmlab/mmocr and mmdeploy, doctr from mindee/doctr and felixdittrich92/OnnxTR.
"""

from __future__ import annotations

from typing import Any

_DIV_255 = 1 / 255
_MODELSCOPE: dict[str, Any] = {
    "input": {"color": "BGR"},
    "normalization": {
        "scale": _DIV_255,
        "mean": [123.68 * _DIV_255, 116.78 * _DIV_255, 103.94 * _DIV_255],
        "std": [1.0, 1.0, 1.0],
    },
    "thresholds": {
        "binary": 0.2,
        "score": 0.2,
        "unclip_ratio": 1.5,
        "scenes": {"document": 0.30, "screenshot": 0.20, "industrial": 0.10},
    },
}

PRESETS: dict[str, dict[str, Any]] = {
    "modelscope-db": _MODELSCOPE,
    "webui": _MODELSCOPE,
    # Exports of the WebUI whose description feeds x / 255 and nothing else.
    "webui-div255": _MODELSCOPE
    | {"normalization": {"scale": _DIV_255, "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}},
    "db-mhliao": {
        "input": {"color": "BGR"},
        "normalization": {
            "scale": _DIV_255,
            "mean": [122.67891434 * _DIV_255, 116.66876762 * _DIV_255, 104.00698793 * _DIV_255],
            "std": [1.0, 1.0, 1.0],
        },
        "thresholds": {"binary": 0.3, "score": 0.5, "unclip_ratio": 1.5},
    },
    "ppocr-det": {
        # The ImageNet numbers stand in RGB order and meet BGR pixels: that is how the models were trained.
        "input": {"color": "BGR"},
        "normalization": {"scale": _DIV_255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "thresholds": {"binary": 0.3, "score": 0.6, "unclip_ratio": 1.5},
    },
    "mmocr": {
        "input": {"color": "RGB"},
        "normalization": {
            "scale": 1.0,
            "mean": [123.675, 116.28, 103.53],
            "std": [58.395, 57.12, 57.375],
        },
        "thresholds": {"binary": 0.3, "score": 0.3, "unclip_ratio": 1.5},
    },
    "doctr": {
        "input": {"color": "RGB"},
        "normalization": {"scale": _DIV_255, "mean": [0.798, 0.785, 0.772], "std": [0.264, 0.2749, 0.287]},
        "output": {"activation": "logits"},
        "thresholds": {"binary": 0.3, "score": 0.1, "unclip_ratio": 1.5},
    },
}


def propose_presets(input_name: str, output_name: str) -> list[str]:
    """Presets whose usual tensor names these are; names alone never decide.

    Args:
        input_name: Name of the graph's image input.
        output_name: Name of the graph's output.

    Returns:
        Candidates, the likeliest first; empty where the names say nothing.
    """
    if output_name == "logits":
        return ["doctr"]
    if input_name == "images" and output_name == "pred":
        return ["modelscope-db", "webui", "webui-div255"]
    if input_name == "x" and output_name.startswith(("sigmoid_", "fetch_name_", "save_infer_model")):
        return ["ppocr-det"]
    if input_name == "input" and output_name == "output":
        return ["mmocr", "db-mhliao"]
    return []
