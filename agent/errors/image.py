# SPDX-License-Identifier: Apache-2.0
"""The image did not arrive as promised."""

from __future__ import annotations

from agent.errors.root import AgentError


class ImageError(AgentError):
    """The image did not arrive as promised; the disk was left unable to boot."""

    code = "IMAGE.ERROR"
    exit_status = 5


class DigestMismatch(ImageError):
    """The bytes that arrived are not the image that was named."""

    code = "IMAGE.DIGEST_MISMATCH"
    advice = "The image at that URL is not the one registered, or it was damaged on its way: register it again."


class ImageTruncated(ImageError):
    """The body ended before the image did."""

    code = "IMAGE.TRUNCATED"
    retryable = True
    advice = "The connection or the server cut the image short: look at the image server's log."


class ImageOverrun(ImageError):
    """The image is longer than it was said to be."""

    code = "IMAGE.OVERRUN"
    advice = "Register the image again: its recorded size is wrong, or the file changed."


class ImageUnavailable(ImageError):
    """The image server says that it has no such image, or will not give it."""

    code = "IMAGE.UNAVAILABLE"
    advice = "Open the image's URL from this machine's network; register the image again if it moved."


class AccessDenied(ImageUnavailable):
    """The image server wants other credentials, or any."""

    code = "IMAGE.ACCESS_DENIED"
    advice = "Give the image its credentials (user and password, or a bearer token), or renew them."

    def __init__(self, doing: str, evidence: str = "", *, hint: str | None = None, challenge: str = "") -> None:
        super().__init__(doing, evidence, hint=hint)
        self.challenge = challenge  # the server's WWW-Authenticate (RFC 9110, section 11.6.1)


class ImageChanged(ImageError):
    """The file on the server became another one while it was read."""

    code = "IMAGE.CHANGED"
    advice = "Publish an image under a new name, never over an old one; then register it again."


class ImageRefused(ImageError):
    """The image is of a kind, or has a feature, that is not written on the host."""

    code = "IMAGE.REFUSED"
    advice = "Convert it on the controller: bmsctl image import."


class SignatureMissing(ImageError):
    """A key is configured, and none of the trusted ones signed this image."""

    code = "IMAGE.UNSIGNED"
    advice = "Sign it (bms-agent image pack --sign KEY.pem), or trust the key that did."
