"""Fuzzing without its guide: what `make fuzz` starts from keeps every promise, and so do changes of it."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.choices import CONTROL_BYTES
from tests.fuzz.corpus import draw_bodies, draw_files
from tests.fuzz.mutator import FORMATS, Mutator
from tests.fuzz.targets import BodyTarget, ImageTarget

MAX_INPUT_BYTES = 16_384


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    """The drawn files."""
    return draw_files()


@pytest.mark.parametrize("target", [ImageTarget, BodyTarget])
def test_the_corpus_keeps_every_promise(
    files: list[bytes], target: type[ImageTarget] | type[BodyTarget]
) -> None:
    """Drawn files and bodies, whole and changed, end in an answer that holds or an error made on purpose."""
    rng = random.Random(0)  # noqa: S311 - drawn, not secret
    mutator = Mutator(lambda piece, _: piece[::-1], files)
    try_one = target()
    ends = set()
    for seed, body in enumerate(files + list(draw_bodies(files))):
        data = rng.randbytes(CONTROL_BYTES) + body
        ends |= {try_one(data), try_one(mutator(data, MAX_INPUT_BYTES, seed))}
    assert {"found", "empty", "CorruptImage", "TruncatedImage", "InferenceFailed"} <= ends


def test_files_survive_being_taken_apart(files: list[bytes]) -> None:
    """A file of every container with pieces is the same once they are joined again."""
    joined = {
        form.begins.pattern: form.join(list(form.split(data))) == data
        for form in FORMATS
        for data in files
        if form.begins.match(data) and len(data) > 300
    }
    assert len(joined) == len(FORMATS)
    assert all(joined.values())
