"""Every error has its documented problem, and every problem the documented shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ocrdet import errors
from ocrdet.api.problems import INTERNAL, INTERNAL_DETAIL, KINDS, TYPE_PREFIX, problem_of
from ocrdet.api.schemas import Problem
from ocrdet.errors import Draining, Forbidden, InvalidParameter, OcrdetError, Overloaded, QueueFull

if TYPE_CHECKING:
    from collections.abc import Iterator

# What clients rely on; a change here is a change of the contract.
STATUSES = {
    "invalid-parameter": 422,
    "missing-image": 400,
    "corrupt-image": 422,
    "truncated-image": 422,
    "encrypted-document": 422,
    "page-not-rendered": 422,
    "unauthorized": 401,
    "forbidden": 403,
    "model-not-found": 404,
    "swap-in-progress": 409,
    "body-timeout": 408,
    "body-too-large": 413,
    "image-too-large": 413,
    "unsupported-format": 415,
    "overloaded": 429,
    "client-closed-request": 499,
    "not-ready": 503,
    "draining": 503,
    "deadline-exceeded": 504,
    "internal": 500,
}


def descendants(cls: type[OcrdetError]) -> Iterator[type[OcrdetError]]:
    """Every class below one, at any depth."""
    for child in cls.__subclasses__():
        yield child
        yield from descendants(child)


LEAVES = [cls for cls in descendants(OcrdetError) if not cls.__subclasses__()]


def instance_of(cls: type[OcrdetError]) -> OcrdetError:
    """An error as the code would raise it."""
    if issubclass(cls, Overloaded):
        return cls("A sentence.", retry_after_s=7, limit=3)
    return cls("A sentence.", limit=3)


@pytest.mark.parametrize("cls", LEAVES, ids=lambda cls: cls.__name__)
def test_every_error_has_a_row_of_its_own(cls: type[OcrdetError]) -> None:
    """A new error without a documented answer does not get in."""
    assert cls in KINDS


def test_errors_have_the_documented_types_and_statuses() -> None:
    """All of them, and no others."""
    assert {kind.slug: kind.status for kind in KINDS.values()} == STATUSES


@pytest.mark.parametrize("cls", [*LEAVES, errors.InferenceFailed], ids=lambda cls: cls.__name__)
def test_every_problem_has_the_one_shape(cls: type[OcrdetError]) -> None:
    """Of RFC 9457, with the request's id."""
    problem = problem_of(instance_of(cls))
    members = json.loads(problem.body("the-id"))
    shape = Problem.model_validate(members)
    assert shape.type == TYPE_PREFIX + problem.kind.slug
    assert (shape.status, shape.request_id) == (problem.kind.status, "the-id")
    if problem.kind.status == INTERNAL.status:
        assert shape.detail == INTERNAL_DETAIL
        assert "limit" not in members
    else:
        assert shape.detail == "A sentence."
        assert members["limit"] == 3


@pytest.mark.parametrize("error", [ValueError("x"), OcrdetError("x"), errors.ModelError("x")])
def test_an_error_without_a_row_is_internal_and_says_nothing(error: Exception) -> None:
    """Unknown means: not for clients."""
    problem = problem_of(error)
    assert (problem.kind, problem.detail) == (INTERNAL, INTERNAL_DETAIL)


def test_refusals_say_when_to_come_back_and_how_to_authenticate() -> None:
    """In the headers that clients already understand."""
    assert problem_of(QueueFull("x", retry_after_s=7)).headers == {"Retry-After": "7"}
    assert problem_of(Draining("x", retry_after_s=1)).headers == {"Retry-After": "1"}
    assert "Retry-After" in problem_of(errors.NotReady("x")).headers
    assert "WWW-Authenticate" in problem_of(errors.Unauthorized("x")).headers
    assert problem_of(Forbidden("x")).headers == {}


def test_a_fact_never_replaces_a_member_of_the_problem() -> None:
    """Whatever it is called."""
    members = problem_of(InvalidParameter("x", status=200, title="fine", field="fit")).as_dict("id")
    assert (members["status"], members["title"], members["field"]) == (422, "Invalid parameter", "fit")
