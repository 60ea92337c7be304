"""API keys: read once at start, compared in constant time."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from ocrdet.errors import ConfigurationError, Forbidden, Unauthorized

if TYPE_CHECKING:
    from pathlib import Path

ADMIN_PREFIX = "admin:"


class ApiKeys:
    """The keys that open this instance; several at once, so that they can be rotated."""

    def __init__(self, keys: list[str]) -> None:
        """Take the lines of a key file.

        Args:
            keys: One key each; `admin:KEY` opens admin paths as well. Empty lines and # comments are skipped.

        Raises:
            ConfigurationError: There is no key among them.
        """
        lines = [line.strip() for line in keys]
        self._keys = [
            (line.removeprefix(ADMIN_PREFIX).encode(), line.startswith(ADMIN_PREFIX))
            for line in lines
            if line and not line.startswith("#")
        ]
        if not self._keys or not all(key for key, _ in self._keys):
            raise ConfigurationError(
                "OCRDET_API_KEYS_FILE holds an empty key or none: write one key per line."
            )

    @classmethod
    def from_file(cls, path: Path) -> ApiKeys:
        """The keys of a file.

        Raises:
            ConfigurationError: The file cannot be read or holds no key.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"OCRDET_API_KEYS_FILE={path} cannot be read: {error}") from error
        return cls(text.splitlines())

    def require(self, authorization: str | None, *, admin: bool = False) -> None:
        """Let a request with a valid key pass.

        Args:
            authorization: The `Authorization` header.
            admin: Whether the path is for admin keys alone.

        Raises:
            Unauthorized: There is no valid key.
            Forbidden: The key is valid, but not for admin paths.
        """
        scheme, _, given = (authorization or "").partition(" ")
        # Every key is compared, so that the time taken says nothing of which one is near.
        candidate = given.strip().encode("latin-1", "replace")
        rights = [is_admin for key, is_admin in self._keys if hmac.compare_digest(key, candidate)]
        if scheme.lower() != "bearer" or not rights:
            raise Unauthorized("A valid API key is needed: send the header `Authorization: Bearer KEY`.")
        if admin and not any(rights):
            raise Forbidden("This path needs an admin key.")
