"""What `ocrdet doctor` looks at, in order: installation, settings, machine, model, one real detection."""

from __future__ import annotations

import os
import platform
import sys
import time
from typing import TYPE_CHECKING

from ocrdet import __version__
from ocrdet.cli import machine
from ocrdet.cli.finding import Finding
from ocrdet.engine.installation import opencv_fault, runtime_fault
from ocrdet.engine.store import find_model
from ocrdet.errors import ConfigurationError, OcrdetError
from ocrdet.settings import Settings, unknown_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)


def examine(environ: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Everything that was found, as it is found; nothing that goes wrong stops the rest.

    Args:
        environ: Variables to take settings from; the process environment if none are given.
    """
    environ = os.environ if environ is None else environ
    yield check_python()
    yield Finding("ocrdet", "ok", __version__)
    runtime = check_runtime()
    yield runtime
    opencv = check_opencv()
    yield opencv
    settings, findings = check_settings(environ)
    yield from findings
    sound = "fail" not in {runtime.status, opencv.status}
    checks: list[tuple[str, Callable[[Settings], Finding]]] = [
        ("cpu", machine.check_cpu),
        ("memory", machine.check_memory),
        ("temporary", machine.check_temporary),
        ("port", machine.check_port),
        ("keys", check_keys),
        ("model", check_model),
    ]
    if sound:
        checks += [("device", machine.check_device), ("detection", check_detection)]
    for name, check in checks:
        yield _guarded(name, check, settings)


def check_python() -> Finding:
    """The interpreter's version."""
    version = platform.python_version()
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return Finding("python", "ok", version)
    return Finding(
        "python", "fail", f"{version}: ocrdet is made for 3.11 to 3.13. Install it with one of these."
    )


def check_runtime() -> Finding:
    """ONNX Runtime: one distribution of it, and it loads."""
    fault = runtime_fault()
    if fault is None:
        try:
            from ocrdet.engine.session import runtime_facts
        except ImportError as error:
            fault = f"It does not load: {error}. Reinstall it."
        else:
            facts = runtime_facts()
            providers = facts["providers"]
            listed = ", ".join(map(str, providers)) if isinstance(providers, list) else ""
            return Finding("onnxruntime", "ok", f"{facts['version']} ({listed})")
    return Finding("onnxruntime", "fail", fault)


def check_opencv() -> Finding:
    """OpenCV: one distribution of it, without windows, and it loads."""
    fault = opencv_fault()
    if fault is None:
        try:
            import cv2
        except ImportError as error:
            fault = f"It does not load: {error}. Reinstall opencv-python-headless."
        else:
            return Finding("opencv", "ok", f"{cv2.__version__}, headless")
    return Finding("opencv", "fail", fault)


def check_settings(environ: Mapping[str, str]) -> tuple[Settings, list[Finding]]:
    """The settings that the rest is checked with, and what is wrong with those given."""
    findings = []
    unknown = unknown_variables(environ)
    for name in unknown:
        try:
            Settings.from_environment({name: environ[name]})
        except ConfigurationError as error:
            findings.append(Finding("variable", "fail", error.detail))
    try:
        settings = Settings.from_environment({k: v for k, v in environ.items() if k not in unknown})
    except ConfigurationError as error:
        findings.append(
            Finding("settings", "fail", f"{error.detail}. The rest is checked with the defaults.")
        )
        return Settings.from_environment({}), findings
    changed = sorted(settings.model_fields_set)
    findings.append(Finding("settings", "ok", f"set: {', '.join(changed)}" if changed else "all defaults"))
    return settings, findings


def check_keys(settings: Settings) -> Finding:
    """The API keys: readable, if there are any."""
    if settings.api_keys_file is None:
        return Finding("keys", "ok", "none: everybody who reaches the port may ask")
    from ocrdet.api.keys import ApiKeys

    ApiKeys.from_file(settings.api_keys_file)
    return Finding("keys", "ok", f"{settings.api_keys_file} holds keys")


def check_model(settings: Settings) -> Finding:
    """The model file: it is there and is the one its manifest describes."""
    files = find_model(settings.model, settings.model_preset)
    manifest = files.manifest
    what = f"{manifest.name} {manifest.version}, preset {manifest.preset}, {files.path}"
    if manifest.sha256 is None:
        return Finding(
            "model",
            "warn",
            f"{what}: no manifest states its checksum. To notice a damaged file, put a manifest.json "
            f'beside it with "sha256": "{files.sha256}"',
        )
    return Finding("model", "ok", f"{what}, SHA-256 as stated")


def check_detection(settings: Settings) -> Finding:
    """One real detection on a drawn picture, by the very path of a request."""
    import cv2

    from ocrdet.detector import open_detector
    from ocrdet.vision.golden import LINES, draw_golden, judge_golden

    picture = cv2.imencode(".png", draw_golden())[1].tobytes()
    started = time.perf_counter()
    with open_detector(settings=settings) as detector:
        loaded_s = time.perf_counter() - started
        detection = detector.detect(picture)
        identity = detector.identity
    complaint = judge_golden(detection.regions)
    if complaint is not None:
        return Finding(
            "detection", "warn", f"{complaint} The preset may be wrong, or the model is not trained."
        )
    return Finding(
        "detection",
        "ok",
        f"{identity.provider}: the {len(LINES)} lines of a drawn page in {detection.timings.total:.0f} ms; "
        f"loading and self-test took {loaded_s:.1f} s",
    )


def _guarded(name: str, check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return check(settings)
    except OcrdetError as error:
        return Finding(name, "fail", error.detail)
    except Exception as error:  # noqa: BLE001 - the doctor reports whatever happens and goes on
        return Finding(name, "fail", f"{type(error).__name__}: {error}")
