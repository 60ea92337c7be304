"""The right pixels and the right coordinates, for every kind of file that cameras and programs write."""

from __future__ import annotations

import base64
import io
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.system.images import FORMATS, WORDS, assert_found, draw_page, noise, overlap, save
from tests.system.server import assert_problem, regions_of
from tests.unit.vision.drawing import exif

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.images import Page
    from tests.system.server import ServerProcess

PAGE = draw_page()
LIGHT = draw_page(ink=(240, 240, 250), paper=(20, 30, 60))
GREY = PAGE.image.convert("L")


def encode_cv2(name: str, pixels: np.ndarray[Any, Any]) -> bytes:
    """What OpenCV writes, which knows more depths than Pillow."""
    return cv2.imencode(name, pixels)[1].tobytes()


def transparent(page: Page, ink: tuple[int, int, int]) -> Image.Image:
    """The words alone, in one colour, on nothing."""
    alpha = np.max([np.asarray(mask) for mask in page.masks], axis=0)
    colours = np.broadcast_to(np.array(ink, np.uint8), (*alpha.shape, 3))
    return Image.fromarray(np.dstack([colours, alpha]))


DEEP = np.asarray(GREY).astype(np.uint16) * 257
KINDS: dict[str, Callable[[], bytes]] = {
    **{name: partial(PAGE.file, name) for name in FORMATS},
    "light text": lambda: LIGHT.file("png"),
    "progressive jpeg": lambda: PAGE.file("jpeg", progressive=True),
    "grey jpeg": lambda: save(GREY, "jpeg"),
    "cmyk jpeg": lambda: save(PAGE.image.convert("CMYK"), "jpeg"),
    "cmyk tiff": lambda: save(PAGE.image.convert("CMYK"), "tiff"),
    "dark text on nothing": lambda: save(transparent(PAGE, (10, 10, 10)), "png"),
    "light text on nothing": lambda: save(transparent(PAGE, (250, 250, 250)), "png"),
    "light text on nothing, webp": lambda: save(transparent(PAGE, (250, 250, 250)), "webp", lossless=True),
    "grey and alpha": lambda: save(transparent(PAGE, (10, 10, 10)).convert("LA"), "png"),
    "16-bit grey png": lambda: encode_cv2(".png", DEEP),
    "16-bit grey tiff": lambda: encode_cv2(".tiff", DEEP),
    "16-bit colour png": lambda: encode_cv2(".png", np.dstack([DEEP] * 3)),
    "12-bit grey png": lambda: encode_cv2(".png", DEEP // 16),
    "palette png": lambda: save(PAGE.image.quantize(16), "png"),
    "palette png with a transparent colour": lambda: save(
        transparent(PAGE, (10, 10, 10)).quantize(16), "png"
    ),
    "black and white png": lambda: save(PAGE.image.convert("1"), "png"),
    "black and white tiff": lambda: save(PAGE.image.convert("1"), "tiff", compression="group4"),
    "lzw tiff": lambda: PAGE.file("tiff", compression="tiff_lzw"),
    "lossless webp": lambda: PAGE.file("webp", lossless=True),
    "interlaced gif": lambda: PAGE.file("gif", interlace=1),
}
WARNED = {
    "cmyk jpeg": "cmyk_converted",
    "cmyk tiff": "cmyk_converted",
    "dark text on nothing": "alpha_composited",
    "light text on nothing": "alpha_composited",
    "light text on nothing, webp": "alpha_composited",
    "grey and alpha": "alpha_composited",
    "palette png with a transparent colour": "alpha_composited",
    "12-bit grey png": "depth_reduced",
}


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_found_in_every_kind_of_file(server: ServerProcess, kind: str) -> None:
    """At their places, and with a word about what decoding changed."""
    answer = server.found(KINDS[kind]())
    assert_found(answer, PAGE.boxes)
    assert (answer["image"]["width"], answer["image"]["height"]) == PAGE.image.size
    codes = [warning["code"] for warning in answer["warnings"]]
    assert codes == ([WARNED[kind]] if kind in WARNED else [])


def test_a_gif_of_several_frames_is_read_from_its_first(server: ServerProcess) -> None:
    """And the answer says so."""
    blank = Image.new("RGB", PAGE.image.size, "white")
    answer = server.found(PAGE.file("gif", save_all=True, append_images=[blank, blank]))
    assert_found(answer, PAGE.boxes)
    assert [warning["code"] for warning in answer["warnings"]] == ["first_frame_only"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photos_are_found_upright_in_both_frames(server: ServerProcess, orientation: int) -> None:
    """As a person sees them, as the file stores them, in pixels and in parts of the sides."""
    stored = PAGE.stored(orientation)
    data = stored.file("jpeg", exif=exif(orientation))
    for page, frame in ((PAGE, "displayed"), (stored, "stored")):
        width, height = page.image.size
        answer = server.found(data, coordinates=frame)
        assert_found(answer, page.boxes)
        image = answer["image"]
        assert (image["width"], image["height"], image["exif_orientation"]) == (width, height, orientation)
        parts = server.found(data, coordinates=frame, normalized=True)
        for region, part in zip(answer["regions"], parts["regions"], strict=True):
            scaled = np.array(part["quad"]) * (width, height)
            np.testing.assert_allclose(scaled, region["quad"], atol=0.02)
            assert np.min(part["quad"]) >= 0
            assert np.max(part["quad"]) <= 1


@pytest.mark.parametrize("name", ["png", "webp", "tiff", "avif"])
def test_other_formats_are_turned_as_well(server: ServerProcess, name: str) -> None:
    """EXIF is not for JPEG alone."""
    data = PAGE.stored(6).file(name, exif=exif(6))
    assert_found(server.found(data), PAGE.boxes)
    assert_found(server.found(data, coordinates="stored"), PAGE.stored(6).boxes)


def test_the_first_corner_stays_where_the_text_begins(server: ServerProcess) -> None:
    """In the stored frame of a photo turned by a quarter it is the bottom-left one."""
    stored = PAGE.stored(6)
    answer = server.found(stored.file("jpeg", exif=exif(6)), coordinates="stored")
    for region, box in zip(answer["regions"], stored.boxes, strict=True):
        (x, y), (_, second_y) = region["quad"][:2]
        assert abs(x - box[0]) < 15
        assert abs(y - box[3]) < 15
        assert second_y < y
        assert abs(region["angle"]) == pytest.approx(90, abs=1)


def test_a_large_scan_is_found_as_exactly_as_its_lossless_copy(server: ServerProcess) -> None:
    """A JPEG is decoded at a fraction of its size; its points are still those of the whole."""
    words = [("HARBOUR", 200, 500, 9.0), ("4096", 2000, 1900, 9.0), ("TABLE", 1700, 420, 6.0)]
    scan = draw_page(3001, 2203, words)
    answers = [server.found(scan.file("jpeg")), server.found(scan.file("png"))]
    for answer in answers:
        assert_found(answer, scan.boxes)
        assert [warning["code"] for warning in answer["warnings"]] == ["downscaled"]
    pairs = zip(*(answer["regions"] for answer in answers), strict=True)
    assert all(overlap(reduced["box"], whole["box"]) > 0.9 for reduced, whole in pairs)


def test_a_small_crop_is_enlarged_and_found(server: ServerProcess) -> None:
    """A hundred pixels are enough for a word."""
    crop = draw_page(100, 40, [("Total", 20, 26, 0.6)])
    answer = server.found(crop.file("png"))
    assert_found(answer, crop.boxes)
    assert answer["fit"]["scale"] > 1


@pytest.mark.parametrize("fit", ["letterbox", "stretch", "auto", "tile"])
def test_every_fit_keeps_the_coordinates(server: ServerProcess, fit: str) -> None:
    """Also where width and height are scaled differently."""
    page = draw_page(1500, 800, [("HARBOUR", 60, 140, 2.6), ("4096", 1150, 700, 2.6)])
    answer = server.found(page.file("png"), fit=fit)
    assert_found(answer, page.boxes)
    assert answer["fit"]["mode"] == (fit if fit in {"stretch", "tile"} else "letterbox")


def test_words_cut_by_the_edge_stay_inside_the_image(server: ServerProcess) -> None:
    """No corner lies outside, in any frame."""
    page = draw_page(300, 120, [("HARBOUR", -25, 28, 1.5), ("4096", 220, 119, 1.5)]).stored(8)
    data = page.file("jpeg", exif=exif(8))
    for frame in ("displayed", "stored"):
        answer = server.found(data, coordinates=frame, polygons=True)
        limit = np.array([answer["image"]["width"], answer["image"]["height"]])
        assert len(answer["regions"]) == len(WORDS)
        for region in answer["regions"]:
            points = np.array([*region["quad"], *region["polygon"]])
            assert (points >= 0).all()
            assert (points <= limit).all()


@pytest.mark.parametrize("degrees", [-30, 12, 40])
def test_a_turned_line_has_its_angle(server: ServerProcess, degrees: int) -> None:
    """Clockwise from the x axis; the quad's first edge runs along it."""
    line = draw_page(500, 500, [("HARBOUR 4096", 70, 260, 1.5)]).image
    # Pillow turns counter-clockwise.
    turned = line.rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=(250, 250, 250))
    (region,) = server.found(save(turned, "png"))["regions"]
    assert region["angle"] == pytest.approx(degrees, abs=2)
    (x1, y1), (x2, y2) = region["quad"][:2]
    assert math.degrees(math.atan2(y2 - y1, x2 - x1)) == pytest.approx(region["angle"], abs=0.1)
    assert math.dist((x1, y1), (x2, y2)) > 250


@pytest.mark.parametrize("row", ["wrong-name"])
def test_the_name_of_a_file_does_not_count(server: ServerProcess, row: str) -> None:
    """Nor does its Content-Type: the bytes say what it is."""
    file = (f"{row}.png", PAGE.file("jpeg"), "image/tiff")
    answer = server.client.post("/detect", files={"file": file}).json()
    assert answer["image"]["format"] == "jpeg"
    assert_found(answer, PAGE.boxes)


@pytest.mark.parametrize("name", ["jpeg", "png"])
def test_the_part_of_a_cut_file_is_read_where_that_is_allowed(server: ServerProcess, name: str) -> None:
    """Text above the cut has its place in the whole image; drawn on, the part is the same."""
    page = draw_page(480, 900)  # its words stand in the upper fifth
    rows = np.asarray(page.image).copy()
    rows[450:] = np.asarray(noise(480, 450))
    whole = save(Image.fromarray(rows), name)
    cut = whole[: len(whole) // 2]
    problem = assert_problem(server.detect(cut), 422, "truncated-image")
    assert "allow_truncated=true" in problem["detail"]
    answer = server.found(cut, allow_truncated=True)
    assert (answer["image"]["width"], answer["image"]["height"]) == (480, 900)
    assert "truncated_image" in [warning["code"] for warning in answer["warnings"]]
    words = [region["box"] for region in answer["regions"] if region["box"][3] < 190]
    assert all(max(overlap(word, box) for word in words) > 0.5 for box in page.boxes)
    drawn = server.detect(cut, params={"allow_truncated": True, "output": "image"})
    assert drawn.headers["content-type"] == "image/png"


def test_every_way_in_gives_the_same_regions(server: ServerProcess) -> None:
    """Raw, chunked, form and JSON, with the options wherever they may be."""
    data, client = PAGE.file("jpeg"), server.client
    text = base64.b64encode(data).decode()
    options = {"score_threshold": 0.4, "polygons": True}
    fields = {"score_threshold": "0.4", "polygons": "1"}
    answers = [
        server.detect(data, params=options),
        server.detect(data, headers={"Content-Type": "application/octet-stream"}, params=options),
        client.post("/detect", content=iter([data[:1000], data[1000:]]), params=options),
        client.post("/detect", files={"file": ("a.jpg", data)}, params=options),
        client.post("/detect", files={"image": ("a.jpg", data)}, data=fields),
        client.post("/detect", json={"image": text, **options}),
        client.post("/detect", json={"image": f"data:image/jpeg;base64,{text}"}, params=options),
    ]
    assert len({regions_of(answer) for answer in answers}) == 1
    regions = answers[0].json()["regions"]
    assert len(regions) == len(WORDS)
    assert all(len(region["polygon"]) >= 4 for region in regions)


@pytest.mark.parametrize(("accept", "name"), [("*/*", "png"), ("image/jpeg", "jpeg")])
def test_the_drawn_image_differs_around_the_regions_alone(
    server: ServerProcess, accept: str, name: str
) -> None:
    """It has the size of the photo, upright."""
    data = PAGE.stored(6).file("png", exif=exif(6))
    response = server.detect(data, params={"output": "image"}, headers={"Accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (200, f"image/{name}")
    with Image.open(io.BytesIO(response.content)) as drawn:
        assert (drawn.format, drawn.size) == (name.upper(), PAGE.image.size)
        difference = np.abs(np.asarray(drawn.convert("RGB")).astype(int) - np.asarray(PAGE.image)).max(axis=2)
    around, outlines = np.zeros((2, *difference.shape), np.uint8)
    for region in server.found(data)["regions"]:
        quad = np.round(region["quad"]).astype(np.int32)
        cv2.polylines(around, [quad], True, 255, 17)
        cv2.polylines(outlines, [quad], True, 255, 1)
    changed = cv2.dilate((difference > 60).astype(np.uint8), np.ones((5, 5)))
    assert changed[outlines > 0].mean() > 0.9
    assert difference[around == 0].max() < (1 if name == "png" else 60)


def test_the_older_json_has_arrays_of_equal_length(server: ServerProcess) -> None:
    """One text, one box of eight numbers and one score for each region."""
    data = PAGE.file("jpeg")
    answer = server.client.post("/detect?output=webui", files={"file": ("page.jpg", data)}).json()
    assert list(answer) == ["image_path", "texts", "boxes", "scores", "success", "inference_time"]
    assert answer["image_path"] == "page.jpg"
    assert answer["success"] is True
    assert answer["inference_time"] > 0
    assert len(answer["texts"]) == len(answer["boxes"]) == len(answer["scores"]) == len(WORDS)
    regions = server.found(data)["regions"]
    assert answer["scores"] == [region["score"] for region in regions]
    for box, region in zip(answer["boxes"], regions, strict=True):
        np.testing.assert_allclose(box, np.ravel(region["quad"]), atol=0.5)


def test_the_scenes_of_the_model_have_their_own_thresholds(server: ServerProcess) -> None:
    """And an explicit number wins over them."""
    data = PAGE.file("png")
    scores = {scene: server.found(data, scene=scene)["thresholds"] for scene in ("document", "industrial")}
    assert scores["document"]["score"] > scores["industrial"]["score"]
    assert scores["industrial"]["scene"] == "industrial"
    low = server.found(data, scene="document", score_threshold=0.1)["thresholds"]
    assert (low["score"], low["binary"]) == (0.1, 0.1)
