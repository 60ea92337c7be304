"""Decoding: every layout becomes the upright RGB that a person sees."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from ocrdet.vision.decode import SUPPORTED_FORMATS, decode_image, read_header
from tests.unit.vision.drawing import exif, picture, png_chunk, save, turned_back

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ocrdet.values import DecodedImage

LOSSLESS = ("png", "webp", "bmp", "tiff")


def read(data: bytes) -> DecodedImage:
    """Both steps at once, with what holds of every decoded image."""
    image = decode_image(data, read_header(data))
    assert image.pixels.dtype == np.uint8
    assert image.pixels.shape == (image.header.height, image.header.width, 3)
    assert image.pixels.flags.c_contiguous
    return image


def codes(image: DecodedImage) -> list[str]:
    """What decoding warned of."""
    return [warning.code for warning in image.warnings]


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(name: str, mode: str, orientation: int) -> None:
    """However the camera was held, the decoded picture is the one that was seen."""
    seen = picture().convert(mode)
    data = save(Image.fromarray(turned_back(np.asarray(seen), orientation)), name, exif=exif(orientation))
    difference = np.abs(read(data).pixels.astype(int) - np.asarray(seen.convert("RGB")))
    assert difference.max() <= (12 if name == "jpeg" else 0)


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_every_pixel_back(name: str) -> None:
    """RGB in, the same RGB out, without a warning."""
    image = read(save(picture(), name))
    assert (image.pixels == np.asarray(picture())).all()
    assert image.warnings == ()


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 2}, {"restart_marker_blocks": 2}])
def test_jpeg_variants_are_read(options: dict[str, object]) -> None:
    """Progressive, subsampled and restartable JPEGs look like the picture."""
    assert (
        np.abs(read(save(picture(), "jpeg", **options)).pixels.astype(int) - np.asarray(picture())).mean() < 4
    )


@pytest.mark.parametrize("name", ["jpeg", "tiff"])
def test_cmyk_looks_like_its_picture(name: str) -> None:
    """Adobe's inverted CMYK JPEG and plain CMYK TIFF both come out in the right colours, with a warning."""
    image = read(save(picture().convert("CMYK"), name))
    assert np.abs(image.pixels.astype(int) - np.asarray(picture())).max() <= 16
    assert codes(image) == ["cmyk_converted"]


@pytest.mark.parametrize("name", ["png", "webp", "tiff"])
def test_alpha_is_laid_on_white(name: str) -> None:
    """What is transparent becomes white; what is opaque keeps its colour."""
    seen = picture().convert("RGBA")
    seen.paste((10, 20, 30, 0), (0, 0, 30, 40))
    image = read(save(seen, name, exact=True))
    assert (image.pixels[:, :30] == 255).all()
    assert (image.pixels[:, 30:] == np.asarray(picture())[:, 30:]).all()
    assert codes(image) == ["alpha_composited"]


def test_grey_with_alpha_and_transparent_colours_are_composited() -> None:
    """LA, and the tRNS chunk of palette, grey and RGB images, are transparency too."""
    letters = Image.new("L", (20, 10), 77)
    letters.paste(0, (0, 0, 5, 10))
    layers = letters.convert("LA")
    layers.putalpha(letters.point(lambda value: 255 if value == 0 else 0))
    for data in (
        save(layers, "png"),
        save(letters, "png", transparency=77),
        save(letters.convert("RGB"), "png", transparency=(77, 77, 77)),
        save(
            letters.convert("P"), "png", transparency=bytes(0 if index == 77 else 255 for index in range(256))
        ),
        save(letters.convert("P"), "gif", transparency=77),
    ):
        image = read(data)
        assert (image.pixels[:, :5] == 0).all()
        assert (image.pixels[:, 5:] == 255).all()
        assert codes(image) == ["alpha_composited"]


def test_a_transparent_colour_of_16_bits_is_matched() -> None:
    """Pillow keeps such a colour whole where it halves the pixels."""
    ok, data = cv2.imencode(".png", np.full((4, 4, 3), 0x1234, np.uint16))
    assert ok
    png = data.tobytes()
    key = struct.pack(">3H", 0x1234, 0x1234, 0x1234)
    where = png.index(b"IDAT") - 4
    assert codes(read(png[:where] + png_chunk(b"tRNS", key) + png[where:])) == ["fully_transparent"]


@pytest.mark.parametrize("name", ["png", "gif", "bmp", "tiff"])
def test_palettes_and_bits_become_their_colours(name: str) -> None:
    """Palette and 1-bit images show their colours, not their indices."""
    few = picture().quantize(13)
    assert (read(save(few, name)).pixels == np.asarray(few.convert("RGB"))).all()
    bits = picture().convert("1")
    assert (read(save(bits, name)).pixels == np.asarray(bits.convert("RGB"))).all()


@pytest.mark.parametrize("extension", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_are_scaled_not_clipped(extension: str, channels: int) -> None:
    """Grey, RGB and opaque RGBA of 16 bits look like their upper bytes."""
    seen = np.asarray(picture())[..., :1] if channels == 1 else np.asarray(picture())
    deep = seen.astype(np.uint16) * 257
    if channels == 4:
        deep = np.dstack([deep, np.full(deep.shape[:2], 65_535, np.uint16)])
    stored_as = deep if channels == 1 else deep[..., [2, 1, 0, 3][:channels]]
    ok, data = cv2.imencode(extension, stored_as)
    assert ok
    image = read(data.tobytes())
    assert (image.pixels == seen).all()
    assert image.warnings == ()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_grey_is_stretched(mode: str) -> None:
    """Integers and floats without a natural range use the whole of 0-255, and a warning says so."""
    ramp = Image.fromarray(
        np.arange(256).reshape(16, 16).astype("int32" if mode == "I" else "float32") * 1000
    )
    image = read(save(ramp, "tiff"))
    assert image.pixels[..., 0].ravel().tolist() == list(range(256))
    assert codes(image) == ["depth_reduced"]


@pytest.mark.parametrize("orientation", [1, 6])
def test_float_colours_are_stretched_and_upright(orientation: int) -> None:
    """Colours of 32-bit floats keep their order of channels and are turned like any other."""
    seen: NDArray[np.uint8] = np.array(picture(), np.uint8)
    seen[-1, -1] = 255
    ok, data = cv2.imencode(".tiff", turned_back(seen, orientation)[..., ::-1].astype(np.float32))
    assert ok
    image = read(with_orientation(data.tobytes(), orientation))
    assert np.abs(image.pixels.astype(int) - seen).max() <= 1
    assert codes(image) == ["depth_reduced"]


def with_orientation(tiff: bytes, orientation: int) -> bytes:
    """The same little-endian TIFF with a copy of its directory that has one more tag."""
    (at,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, at)
    entries = [tiff[at + 2 + 12 * index : at + 14 + 12 * index] for index in range(count)]
    entries.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
    entries.sort(key=lambda entry: entry[1::-1])
    directory = struct.pack("<H", count + 1) + b"".join(entries) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + directory


@pytest.mark.parametrize("mode", ["1", "L", "I;16"])
def test_min_is_white_is_inverted(mode: str) -> None:
    """Fax-like TIFFs that store ink as high values still show dark ink."""
    paper = Image.new("L", (8, 8), 255)
    paper.paste(0, (0, 0, 4, 8))
    grey = np.asarray(paper)
    ink = 255 - grey if mode != "I;16" else (255 - grey).astype(np.uint16) * 257
    inverted = Image.fromarray(ink).convert(mode)
    data = bytearray(save(inverted, "tiff"))
    entry = data.index(struct.pack("<HHI", 262, 3, 1))
    data[entry + 8 : entry + 10] = bytes(2)
    assert (read(bytes(data)).pixels[..., 0] == grey).all()


@pytest.mark.parametrize("name", ["gif", "png", "webp", "tiff", "mpo"])
def test_only_the_first_frame_is_read(name: str) -> None:
    """Animations, pages and multi-picture files show their first image, and a warning says so."""
    first, *rest = (Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue"))
    image = read(save(first, name, save_all=True, append_images=rest))
    assert np.abs(image.pixels.astype(int) - (255, 0, 0)).max() <= 2
    assert codes(image) == ["first_frame_only"]


@pytest.mark.parametrize(
    "compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg", "zstd", "lzma"]
)
def test_tiff_compressions_are_read(compression: str) -> None:
    """Each of the usual compressions gives the picture back."""
    image = read(save(picture(), "tiff", compression=compression))
    assert np.abs(image.pixels.astype(int) - np.asarray(picture())).mean() < 4


@pytest.mark.parametrize("name", SUPPORTED_FORMATS)
def test_garbage_behind_the_image_is_ignored(name: str) -> None:
    """Cameras and servers append bytes; the picture is whole all the same."""
    whole = save(picture(), name)
    assert (read(whole + b"\r\n--appended--" * 9).pixels == read(whole).pixels).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_jpeg_is_decoded_at_a_fraction_of_its_size(orientation: int, reduction: int) -> None:
    """Each pixel is the mean of the block it stands for, upright, also where blocks hang over the edge."""
    height, width = 253, 339
    ramp = np.linspace(30, 220, width)[None, :] + np.linspace(-25, 25, height)[:, None]
    upright = np.repeat(ramp.astype(np.uint8)[..., None], 3, axis=2)
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(upright)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    if orientation in undo:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    file = io.BytesIO()
    stored.save(file, "JPEG", quality=95, exif=exif)
    decoded = decode_image(file.getvalue(), read_header(file.getvalue()), reduction=reduction)
    assert decoded.reduction == reduction
    rows, columns = -(-height // reduction), -(-width // reduction)
    assert decoded.pixels.shape == (rows, columns, 3)
    inner = upright[: height // reduction * reduction, : width // reduction * reduction].astype(float)
    blocks = inner.reshape(height // reduction, reduction, width // reduction, reduction, 3).mean((1, 3))
    seen = decoded.pixels[: blocks.shape[0], : blocks.shape[1]].astype(float)
    assert np.abs(seen - blocks).mean() < 2 + reduction / 4


def test_other_formats_are_decoded_whole() -> None:
    """Only a JPEG can be read in part; the answer says what was really made."""
    file = io.BytesIO()
    Image.new("RGB", (320, 240), (9, 9, 9)).save(file, "PNG")
    decoded = decode_image(file.getvalue(), read_header(file.getvalue()), reduction=4)
    assert decoded.reduction == 1
    assert decoded.pixels.shape == (240, 320, 3)
