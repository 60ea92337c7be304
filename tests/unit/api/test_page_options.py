"""Which pages, and how large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrdet.api.options import collect_pairs
from ocrdet.api.page_options import (
    LEAST_DPI,
    MOST_DPI,
    PAGE_OPTIONS,
    PageOptions,
    require_page_size,
)
from ocrdet.errors import ImageTooLarge, InvalidParameter

LIMITS = {"max_pixels": 50_000_000, "max_side_px": 65_500}


def read(**given: object) -> PageOptions:
    """Options as a request brings them."""
    return PageOptions.read(collect_pairs(given.items(), PAGE_OPTIONS))


@pytest.mark.parametrize(
    ("pages", "chosen"),
    [
        (None, [0, 1, 2, 3, 4]),
        ("1", [0]),
        ("2-4", [1, 2, 3]),
        ("4-", [3, 4]),
        ("5,1-2", [0, 1, 4]),
        ("1-3,2-5,3", [0, 1, 2, 3, 4]),
        ("1-5", [0, 1, 2, 3, 4]),
    ],
)
def test_pages_are_chosen_in_their_order(pages: str | None, chosen: list[int]) -> None:
    """Each once, whatever the order and the overlaps."""
    assert read(pages=pages).select(5, 10) == chosen


@pytest.mark.parametrize("pages", ["6", "1-6", "7-", "4-2", "999999-"])
def test_pages_that_are_not_there_are_refused(pages: str) -> None:
    """With how many there are."""
    with pytest.raises(InvalidParameter, match="of a document of 5 pages") as caught:
        read(pages=pages).select(5, 10)
    assert caught.value.facts == {"field": "pages", "maximum": 5}


@pytest.mark.parametrize(
    "pages", ["0", "-3", "1,,2", "a", "1 2", "", "1;2", "1-2-3", "1234567", 3, "1," * 101 + "1"]
)
def test_what_is_no_list_of_pages_is_refused(pages: object) -> None:
    """With an example of one."""
    with pytest.raises(InvalidParameter, match="pages must be like 1-3,7,10-"):
        read(pages=pages)


def test_too_many_pages_are_refused_unless_fewer_are_chosen() -> None:
    """The sentence names the limit and what to ask for."""
    with pytest.raises(
        ImageTooLarge, match=r"300 pages were asked for; at most 200 .* pages=1-200"
    ) as caught:
        read().select(300, 200)
    assert caught.value.facts == {"pages": 300, "limit": 200}
    assert len(read(pages="101-300").select(300, 200)) == 200


def test_pages_that_a_pdf_only_claims_to_have_cost_little() -> None:
    """A hundred lists of a million pages are a hundred strokes over the same marks."""
    with pytest.raises(ImageTooLarge, match="1000000 pages were asked for"):
        read(pages=",".join(["1-"] * 100)).select(1_000_000, 200)


@pytest.mark.parametrize("dpi", [71, 601, "150.5", "x", True])
def test_the_dpi_has_its_range(dpi: object) -> None:
    """Named in the sentence."""
    with pytest.raises(InvalidParameter, match="dpi must be a whole number between 72 and 600"):
        read(dpi=dpi)


def test_the_options_of_a_page_are_those_of_an_image() -> None:
    """But for `output`, and with two of its own."""
    options = read(dpi="300", pages="2", scene="document", max_regions=7)
    assert (options.dpi, options.detect.scene, options.detect.max_regions) == (300, "document", 7)
    assert (read().dpi, read(dpi=None, pages=None).pages) == (150, None)
    with pytest.raises(InvalidParameter, match="'output' is no option"):
        read(output="image")


@given(st.floats(0.001, 1e7), st.floats(0.001, 1e7), st.integers(LEAST_DPI, MOST_DPI), st.integers(1, 10**8))
def test_a_page_that_is_too_large_is_told_a_dpi_that_fits(
    width: float, height: float, dpi: int, max_pixels: int
) -> None:
    """Asked for, it is accepted; where none is named, none would be."""
    limits = {"max_pixels": max_pixels, "max_side_px": 65_500}
    refusal = refused(width, height, dpi, limits)
    if refusal is None:
        return
    fits = refusal.facts["max_dpi"]
    if isinstance(fits, int):
        assert LEAST_DPI <= fits < dpi
        assert f"dpi={fits} or less" in refusal.detail
        assert refused(width, height, fits, limits) is None
        assert refused(width, height, fits + 1, limits)
    else:
        assert refused(width, height, LEAST_DPI, limits)


def refused(width: float, height: float, dpi: int, limits: dict[str, int]) -> ImageTooLarge | None:
    """Why a page is refused, if it is."""
    try:
        require_page_size(1, (width, height), dpi, **limits)
    except ImageTooLarge as error:
        return error
    return None


def test_a_page_of_a_usual_size_is_as_large_as_its_dpi_says() -> None:
    """A4 and Letter."""
    assert require_page_size(1, (595, 842), 150, **LIMITS) == (1240, 1754)
    assert require_page_size(1, (612, 792), 72, **LIMITS) == (612, 792)
    assert require_page_size(1, (0.001, 900), 72, **LIMITS) == (1, 900)
