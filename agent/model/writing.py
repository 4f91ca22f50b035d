# SPDX-License-Identifier: Apache-2.0
"""What is said between who has a disk and who writes an image to it, where these are two processes: one order, and then
a closed list of things. `agent.apply.writer` has both sides. The same process fetches what is no image, without a disk.

Heads of pieces are JSON of `ToWriter` and `FromWriter`; what is large is the piece's body.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from agent.model.frozen import Frozen, Secret
from agent.model.image import OPEN, SHA256_PATTERN, SHA512_PATTERN, Access, Trusted
from agent.model.image_signature import LARGEST_BYTES
from agent.model.job import Result
from agent.model.plan import WriteImage

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
"""Of the environment, in small letters or large."""
FETCHED_BYTES = 1024 * 1024
"""The most that one piece of what is fetched has."""
Text = Annotated[str, StringConstraints(max_length=4096)]
Line = Annotated[str, StringConstraints(max_length=400)]
Count = Annotated[int, Field(ge=0, le=1 << 62)]


class Reach(Frozen):
    """How the network is reached, where a URL says nothing of that."""

    trusted: Trusted = Trusted()
    proxies: dict[Literal["http_proxy", "https_proxy", "all_proxy", "no_proxy"], Text] = Field(default_factory=dict)


class Order(Reach):
    """All that is to be known to write one image: the body of the first piece. A descriptor that reads the disk comes
    with it."""

    step: WriteImage


class Wanted(Reach):
    """A file's beginning, so many bytes at most: the body of the first piece, with which no descriptor comes."""

    url: Secret
    most_bytes: Count
    access: Access = OPEN


class Ordered(Frozen):
    """An `Order` is the body."""

    kind: Literal["ordered"] = "ordered"


class Fetch(Frozen):
    """A `Wanted` is the body."""

    kind: Literal["fetch"] = "fetch"


class Lent(Frozen):
    """A descriptor that writes the disk comes with it."""

    kind: Literal["lent"] = "lent"


class Failed(Frozen):
    """An error, by its code: of the work, or of what was asked for."""

    kind: Literal["failed"] = "failed"
    code: Text
    doing: Text
    evidence: Text
    hint: Text


class Meant(Frozen):
    """The manifest of a chunked image is the body."""

    kind: Literal["meant"] = "meant"
    signature: Annotated[bytes, Field(max_length=LARGEST_BYTES)] | None = None


class Begin(Frozen):
    """The image's first bytes are the body: the disk is asked for."""

    kind: Literal["begin"] = "begin"


class Step(Frozen):
    """How far it is, as `agent.model.job.Advance` tells it; and that its sender lives."""

    kind: Literal["step"] = "step"
    done_bytes: Count = 0
    total_bytes: Count | None = None
    limited_by: Line | None = None


class Written(Frozen):
    """The last: all but the head is on the medium, and was verified; the disk is let go."""

    kind: Literal["written"] = "written"
    image_bytes: Count
    sha256: str | None = Field(default=None, pattern=SHA256_PATTERN)
    sha512: str | None = Field(default=None, pattern=SHA512_PATTERN)
    fetched_bytes: Count
    written_bytes: Count
    reused_bytes: Count
    limited_by: Line
    source_percent: Count
    verify_percent: Count
    decode_percent: Count
    disk_percent: Count
    verified_bytes: Count | None = None
    verify_ms: Count | None = None

    @property
    def result(self) -> Result:
        """For the job's report."""
        return self.model_dump(exclude={"kind"}, exclude_none=True)


class Fetched(Frozen):
    """What comes next of what is fetched is the body; none is its end."""

    kind: Literal["fetched"] = "fetched"


class ToWriter(Frozen):
    """The head of a piece."""

    said: Annotated[Ordered | Fetch | Lent | Failed, Field(discriminator="kind")]


class FromWriter(Frozen):
    """The head of a piece."""

    said: Annotated[Meant | Begin | Step | Written | Fetched | Failed, Field(discriminator="kind")]
