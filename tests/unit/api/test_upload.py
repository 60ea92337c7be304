"""The image inside a body."""

from __future__ import annotations

import base64
import json

import pytest

from ocrdet.api.upload import MAX_JSON_VALUES, decode_base64, read_upload
from ocrdet.errors import InvalidParameter, MissingImage

IMAGE = bytes(range(256)) * 4
BOUNDARY = "xyzzy"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def form(*parts: tuple[str, str | None, bytes], end: bool = True) -> bytes:
    """A multipart body of (name, filename, data) parts."""
    body = b""
    for name, filename, data in parts:
        disposition = f'form-data; name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
        body += f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + data + b"\r\n"
    return body + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


@pytest.mark.parametrize(
    "content_type",
    [None, "image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded", "nonsense"],
)
def test_any_other_type_is_the_image_itself(content_type: str | None) -> None:
    """Clients' MIME types are not trusted, so none of them stands in the way."""
    assert read_upload(IMAGE, content_type).data == IMAGE


def test_a_form_gives_file_name_and_options() -> None:
    """What a browser or `curl -F` sends."""
    body = form(("file", "照片.png", IMAGE), ("fit", None, b"tile"))
    upload = read_upload(body, FORM)
    assert (upload.data, upload.name, upload.options) == (IMAGE, "照片.png", {"fit": "tile"})


def test_an_image_that_holds_the_boundary_s_beginning_survives() -> None:
    """Parts end at the whole boundary only."""
    tricky = b"\r\n--xyz\r\n--" + IMAGE + b"\r\n--xyzz"
    assert read_upload(form(("image", "a", tricky)), FORM).data == tricky


def test_a_file_field_without_a_filename_is_an_image_too() -> None:
    """`curl -F "file=<photo.jpg"` sends it so."""
    assert read_upload(form(("file", None, IMAGE)), FORM).data == IMAGE


@pytest.mark.parametrize("parts", [(), (("file", "", b""),), (("fit", None, b"auto"),)])
def test_a_form_without_an_image_says_so(parts: tuple[tuple[str, str | None, bytes], ...]) -> None:
    """An empty file field is what a browser sends when nothing was chosen."""
    with pytest.raises(MissingImage):
        read_upload(form(*parts), FORM)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (form(("file", "a", IMAGE)), "multipart/form-data"),
        (form(("file", "a", IMAGE), end=False), FORM),
        (form(("file", "a", IMAGE))[:-200], FORM),
        (IMAGE, FORM),
        (form(("file", "a", IMAGE), ("file", "b", IMAGE)), FORM),
        (form(("photo", "a", IMAGE)), FORM),
        (form(("file", "a", IMAGE), ("fit", None, b"auto"), ("fit", None, b"auto")), FORM),
        (form(*[("fit", None, b"auto")] * 100), FORM),
        (form(("file", "a", IMAGE)), "multipart/form-data; boundary=" + "b" * 500),
    ],
)
def test_a_malformed_form_is_an_invalid_parameter(body: bytes, content_type: str) -> None:
    """Never an internal error, whatever was sent."""
    with pytest.raises(InvalidParameter):
        read_upload(body, content_type)


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "DATA:;BASE64,"])
def test_json_carries_base64_and_options(prefix: str) -> None:
    """Both a bare text and a data: URI are images."""
    body = json.dumps({"image": prefix + base64.b64encode(IMAGE).decode(), "max_regions": 3, "scene": None})
    upload = read_upload(body.encode(), "Application/JSON; charset=utf-8")
    assert (upload.data, upload.options) == (IMAGE, {"max_regions": 3, "scene": None})


def test_base64_may_be_broken_into_lines() -> None:
    """The `base64` command does it by default."""
    assert decode_base64(base64.encodebytes(IMAGE).decode(), "image") == IMAGE


@pytest.mark.parametrize("body", [b"{}", b'{"image": null}', b'{"image": ""}', b'{"image": "data:;base64,"}'])
def test_json_without_an_image_says_so(body: bytes) -> None:
    """The sentence shows how to send one."""
    with pytest.raises(MissingImage):
        read_upload(body, "application/json")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"image": 7}',
        b'{"image": {}}',
        b'{"image": "%%%%"}',
        '{"image": "影像"}'.encode(),
        b'{"image": "QQ"}',
        b'{"image": "data:image/png,abc"}',
        b'{"image": "QQ==", "image": "QQ=="}',
        b'{"image": "QQ==", "fit": "auto", "fit": "auto"}',
        b'{"image": "QQ==", "imgae": 1}',
        b'{"image": "QQ==", "\\ud800": 1}',
    ],
)
def test_malformed_json_is_an_invalid_parameter(body: bytes) -> None:
    """Never an internal error, whatever was sent."""
    with pytest.raises(InvalidParameter):
        read_upload(body, "application/json")


@pytest.mark.parametrize("value", [b"[]", b"{}", b"255"])
def test_json_of_very_many_values_is_refused_before_it_is_parsed(value: bytes) -> None:
    """It would take many times its size in memory, and stop every other thread meanwhile."""
    body = b'{"image": [' + b",".join([value] * (MAX_JSON_VALUES + 1)) + b"]}"
    with pytest.raises(InvalidParameter, match="more than 100000 values"):
        read_upload(body, "application/json")


def test_an_empty_body_is_a_missing_image() -> None:
    """Whatever type it claims to be."""
    for content_type in (None, FORM, "application/json"):
        with pytest.raises(MissingImage):
            read_upload(b"", content_type)
