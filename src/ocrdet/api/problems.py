"""One table from errors to HTTP statuses, and the one shape in which they are told (RFC 9457)."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic_core import to_json

from ocrdet import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocrdet.errors import OcrdetError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:ocrdet:problem:"
NOT_READY_RETRY_S = 5
INTERNAL_DETAIL = "The server failed on this request; its log tells why under this request_id."


@dataclass(frozen=True, slots=True)
class Kind:
    """How one class of errors looks to a client.

    Attributes:
        slug: Last part of the stable type URN.
        status: HTTP status.
        title: The same few words every time.
        retryable: Whether the very same request may succeed later.
    """

    slug: str
    status: int
    title: str
    retryable: bool = False


INTERNAL = Kind("internal", 500, "Internal error")
NOT_FOUND = Kind("not-found", 404, "No such path")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "Method not allowed")
MALFORMED_REQUEST = Kind("malformed-request", 400, "Not a valid HTTP request")

KINDS: dict[type[OcrdetError], Kind] = {
    errors.MissingImage: Kind("missing-image", 400, "No image"),
    errors.BodyTooLarge: Kind("body-too-large", 413, "Body too large"),
    errors.ImageTooLarge: Kind("image-too-large", 413, "Image too large"),
    errors.UnsupportedFormat: Kind("unsupported-format", 415, "Unsupported image format"),
    errors.CorruptImage: Kind("corrupt-image", 422, "Corrupt image"),
    errors.TruncatedImage: Kind("truncated-image", 422, "Truncated image"),
    errors.EncryptedDocument: Kind("encrypted-document", 422, "Encrypted document"),
    errors.PageNotRendered: Kind("page-not-rendered", 422, "Page not rendered"),
    errors.InvalidParameter: Kind("invalid-parameter", 422, "Invalid parameter"),
    errors.QueueFull: Kind("overloaded", 429, "Overloaded", retryable=True),
    errors.Draining: Kind("draining", 503, "Shutting down", retryable=True),
    errors.DeadlineExceeded: Kind("deadline-exceeded", 504, "Deadline exceeded", retryable=True),
    errors.BodyTimeout: Kind("body-timeout", 408, "Upload stalled", retryable=True),
    errors.Cancelled: Kind("client-closed-request", 499, "Client went away", retryable=True),
    errors.Unauthorized: Kind("unauthorized", 401, "Unauthorized"),
    errors.Forbidden: Kind("forbidden", 403, "Forbidden"),
    errors.ConfigurationError: INTERNAL,
    errors.ModelNotFound: Kind("model-not-found", 404, "No such model"),
    errors.SwapInProgress: Kind("swap-in-progress", 409, "Model change under way", retryable=True),
    errors.ManifestInvalid: INTERNAL,
    errors.ChecksumMismatch: INTERNAL,
    errors.SelfTestFailed: INTERNAL,
    errors.NotReady: Kind("not-ready", 503, "Not ready", retryable=True),
    errors.InferenceFailed: INTERNAL,
    errors.OutOfDeviceMemory: Kind("internal", 500, "Internal error", retryable=True),
    errors.DeviceLost: Kind("internal", 500, "Internal error", retryable=True),
}
SLUGS = tuple(sorted({kind.slug for kind in (*KINDS.values(), NOT_FOUND, METHOD_NOT_ALLOWED, INTERNAL)}))


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong with one request or one image of a batch, safe to send."""

    kind: Kind
    detail: str
    facts: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self, request_id: str) -> dict[str, object]:
        """The members of the problem, standard ones first."""
        return {
            "type": TYPE_PREFIX + self.kind.slug,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "request_id": request_id,
            "retryable": self.kind.retryable,
        } | {name: fact for name, fact in self.facts.items() if name not in _RESERVED}

    def body(self, request_id: str) -> bytes:
        """The problem as JSON."""
        return to_json(self.as_dict(request_id))


_RESERVED = frozenset({"type", "title", "status", "detail", "request_id", "retryable"})


def problem_of(error: Exception) -> Problem:
    """What a client is told of an error; of an unexpected one, or a failed model, nothing but that."""
    kind = next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), INTERNAL)
    if not isinstance(error, errors.OcrdetError) or kind.status == INTERNAL.status:
        return Problem(kind, INTERNAL_DETAIL)
    headers: dict[str, str] = {}
    if isinstance(error, errors.Overloaded):
        headers["Retry-After"] = str(error.retry_after_s)
    elif isinstance(error, errors.NotReady):
        headers["Retry-After"] = str(NOT_READY_RETRY_S)
    elif isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="ocrdet"'
    return Problem(kind, error.detail, error.facts, headers)


def forget_frames(error: BaseException | None) -> None:
    """Drop what the calls that failed still hold, once nothing but the error's words are wanted.

    An error, its traceback and the work that failed refer to each other: the image that they hold would stay
    in memory until the garbage collector comes by.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__
