"""Every error raised on purpose, without a word of HTTP.

    OcrdetError
    ├── ImageRejected                the image cannot or may not be read
    │   ├── MissingImage             the request holds no image
    │   ├── BodyTooLarge             too many bytes
    │   ├── ImageTooLarge            too many pixels, too long a side
    │   ├── UnsupportedFormat        not an image format that is read here
    │   ├── CorruptImage             the bytes contradict their format
    │   ├── TruncatedImage           the bytes end before the image does
    │   ├── EncryptedDocument        a PDF that asks for a password
    │   └── PageNotRendered          a PDF page that takes too long, or too much, or breaks its renderer
    ├── InvalidParameter             an option outside its range
    ├── Overloaded                   try again later
    │   ├── QueueFull                no free slot now
    │   └── Draining                 the process is about to end
    ├── DeadlineExceeded             the answer would have come too late
    ├── BodyTimeout                  the upload stalled
    ├── Cancelled                    the caller went away
    ├── Unauthorized                 no valid key
    ├── Forbidden                    a valid key without this right
    ├── ConfigurationError           a setting or an installation that cannot work
    └── ModelError
        ├── ModelNotFound            no such model
        ├── SwapInProgress           another model change is under way
        ├── ManifestInvalid          the model and its description do not fit
        ├── ChecksumMismatch         the file is not the one described
        ├── SelfTestFailed           the golden picture came out wrong
        ├── NotReady                 no model is loaded and warm yet
        └── InferenceFailed          a run raised, or its output is not finite
            ├── OutOfDeviceMemory    the device could not hold the batch
            └── DeviceLost           the device is gone until the process restarts

`api/problems.py` gives each leaf its status code and stable type; a test fails on one without a row.
"""

from __future__ import annotations

Fact = str | int | float | bool | list[str] | None


class OcrdetError(Exception):
    """Anything that ocrdet raises on purpose.

    Attributes:
        detail: What was wrong, the limit, and what to do: safe to show to a client.
        facts: Machine-readable details that belong beside the sentence.
    """

    def __init__(self, detail: str, **facts: Fact) -> None:
        """Keep the sentence for people and the facts for programs."""
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class ImageRejected(OcrdetError):
    """The image cannot or may not be read."""


class MissingImage(ImageRejected):
    """The request holds no image."""


class BodyTooLarge(ImageRejected):
    """The request, or one image in it, has too many bytes."""


class ImageTooLarge(ImageRejected):
    """The image has too many pixels or too long a side."""


class UnsupportedFormat(ImageRejected):
    """The bytes are no image format that is read here."""


class CorruptImage(ImageRejected):
    """The bytes contradict their own format."""


class TruncatedImage(ImageRejected):
    """The bytes end before the image does."""


class EncryptedDocument(ImageRejected):
    """The PDF cannot be read without a password."""


class PageNotRendered(ImageRejected):
    """A PDF, or one page of it, took too much time or memory, or made its renderer fail."""


class InvalidParameter(OcrdetError):
    """An option is unknown, of the wrong type or outside its range."""


class Overloaded(OcrdetError):
    """The request was refused before any work; it may be sent again.

    Attributes:
        retry_after_s: Seconds after which trying again makes sense.
    """

    def __init__(self, detail: str, *, retry_after_s: int, **facts: Fact) -> None:
        """Keep when to come back beside the sentence."""
        super().__init__(detail, retry_after_s=retry_after_s, **facts)
        self.retry_after_s = retry_after_s


class QueueFull(Overloaded):
    """No slot is free for another image."""


class Draining(Overloaded):
    """The process finishes what it has and takes nothing new."""


class DeadlineExceeded(OcrdetError):
    """The answer would come later than the caller waits."""


class BodyTimeout(OcrdetError):
    """The upload stalled."""


class Cancelled(OcrdetError):
    """The caller went away before the answer was ready."""


class Unauthorized(OcrdetError):
    """The request carries no valid API key."""


class Forbidden(OcrdetError):
    """The API key is valid but not for this path."""


class ConfigurationError(OcrdetError):
    """A setting, or the installation, cannot work; the sentence names the remedy."""


class ModelError(OcrdetError):
    """Something about the model rather than the image."""


class ModelNotFound(ModelError):
    """No model of that name or at that path."""


class SwapInProgress(ModelError):
    """Another change of the live model is under way."""


class ManifestInvalid(ModelError):
    """The model file and its manifest do not fit together, or no manifest can be inferred."""


class ChecksumMismatch(ModelError):
    """The model file is not the one its manifest describes."""


class SelfTestFailed(ModelError):
    """The model did not find the text of the golden picture."""


class NotReady(ModelError):
    """No model is loaded, verified and warm yet."""


class InferenceFailed(ModelError):
    """A run raised an error, or its output is not finite."""


class OutOfDeviceMemory(InferenceFailed):
    """The device could not hold the batch."""


class DeviceLost(InferenceFailed):
    """The device does not answer any more; only a new process can mend it."""
