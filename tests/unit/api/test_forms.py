"""Multipart forms in memory."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrdet.api.forms import MAX_FIELD_BYTES, FormReader, Part
from ocrdet.errors import BodyTooLarge, InvalidParameter

CONTENT_TYPE = 'multipart/form-data; boundary="b"'


def body_of(*parts: Part) -> bytes:
    """The multipart form of some parts."""
    text = b""
    for part in parts:
        filename = "" if part.filename is None else f'; filename="{part.filename}"'
        text += f'--b\r\nContent-Disposition: form-data; name="{part.name}"{filename}\r\n\r\n'.encode()
        text += part.data + b"\r\n"
    return text + b"--b--\r\n"


@given(
    images=st.lists(st.binary(max_size=200), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 1500), max_size=20),
)
def test_parts_do_not_depend_on_where_the_network_cuts_the_body(images: list[bytes], cuts: list[int]) -> None:
    """Whole or byte by byte, the parts are the same."""
    parts = [Part("file", f"{index}.png", data.replace(b"--b", b"--c")) for index, data in enumerate(images)]
    body = body_of(*parts)
    reader = FormReader(CONTENT_TYPE, max_part_bytes=1000, max_parts=10)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    found = [part for start, end in itertools.pairwise(edges) for part in reader.feed(body[start:end])]
    reader.finish()
    assert found == parts


def test_a_file_above_the_limit_is_marked_and_the_next_one_still_read() -> None:
    """One image that is too large never fails another."""
    reader = FormReader(CONTENT_TYPE, max_part_bytes=10, max_parts=10)
    big, small = reader.feed(body_of(Part("file", "big", b"x" * 11), Part("file", "small", b"y" * 10)))
    assert (big.too_large, big.data) == (True, b"")
    assert (small.too_large, small.data) == (False, b"y" * 10)


def test_more_files_than_allowed_are_refused_with_the_limit() -> None:
    """The sentence names the number."""
    parts = [Part("file", name, b"x") for name in "abc"]
    for most, sentence in ((1, "more than one image; send several to"), (2, "more than 2 images")):
        reader = FormReader(CONTENT_TYPE, max_part_bytes=10, max_parts=most)
        with pytest.raises(InvalidParameter, match=sentence):
            reader.feed(body_of(*parts))


def test_a_plain_field_has_a_limit_of_its_own() -> None:
    """Options are words; a megabyte of them is not buffered."""
    reader = FormReader(CONTENT_TYPE, max_part_bytes=10**6, max_parts=1)
    with pytest.raises(BodyTooLarge):
        reader.feed(body_of(Part("fit", None, b"x" * (MAX_FIELD_BYTES + 1))))


def test_a_missing_end_is_noticed() -> None:
    """Half an upload is not a whole one."""
    reader = FormReader(CONTENT_TYPE, max_part_bytes=10, max_parts=1)
    reader.feed(body_of(Part("file", "a", b"x"))[:-6])
    with pytest.raises(InvalidParameter, match="closing boundary"):
        reader.finish()
