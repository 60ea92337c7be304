"""API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ocrdet.api.keys import ApiKeys
from ocrdet.errors import ConfigurationError, Forbidden, Unauthorized

if TYPE_CHECKING:
    from pathlib import Path

KEYS = ApiKeys(["# rotated in May", "", "old-key", "new-key", "admin:root-key"])


@pytest.mark.parametrize("header", ["Bearer old-key", "bearer new-key", "Bearer root-key"])
def test_every_key_opens_the_service(header: str) -> None:
    """Several keys are valid at once, so that one can be replaced."""
    KEYS.require(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "old-key",
        "Basic old-key",
        "Bearer wrong",
        "Bearer admin:root-key",
        "Bearer é",
    ],
)
def test_anything_else_is_unauthorized(header: str | None) -> None:
    """Whatever is missing, the answer is the same."""
    with pytest.raises(Unauthorized):
        KEYS.require(header)


def test_admin_paths_need_an_admin_key() -> None:
    """A valid key without the right is told so."""
    KEYS.require("Bearer root-key", admin=True)
    with pytest.raises(Forbidden):
        KEYS.require("Bearer old-key", admin=True)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "good\nadmin:\n"])
def test_a_file_without_usable_keys_is_a_configuration_error(text: str, tmp_path: Path) -> None:
    """An empty file must neither lock everybody out nor let everybody in."""
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="OCRDET_API_KEYS_FILE"):
        ApiKeys.from_file(path)


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    """The service does not start open because a secret was not mounted."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ApiKeys.from_file(tmp_path / "absent")
