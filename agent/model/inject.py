# SPDX-License-Identifier: Apache-2.0
"""Files that are put into a written system, or taken out of it: what they are, and where.

Source: ironic_python_agent/inject_files.py, whose words these are; more is refused than there, nothing else is meant.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from agent.model.disk import DiskIdentity
from agent.model.frozen import Frozen, Secret


def _may_be_set(mode: int) -> int:
    """Raises `ValueError` for set-user-id and set-group-id bits: the ramdisk's sandbox sets none."""
    if mode & 0o6000:
        raise ValueError(f"{mode:#o} has a set-user-id or set-group-id bit, which this agent does not set")
    return mode


def _is_of_a_file(path: str) -> str:
    """In its plainest form. Raises `ValueError` for what names no file, or would lead out."""
    names = [name for name in path.split("/") if name not in ("", ".")]
    if not names or path.endswith("/"):
        raise ValueError(f"{path!r} names no file")
    if ".." in names or "\0" in path:
        raise ValueError(f"{path!r} does not stay below the place where it begins")
    return "/" + "/".join(names)


Mode = Annotated[int, Field(ge=0, le=0o7777), AfterValidator(_may_be_set)]
Owner = Annotated[int, Field(ge=0, le=2**32 - 2)] | Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$")]


class FileToInject(Frozen):
    """One file: its content, or where it is fetched; or that it is not to be there."""

    path: Annotated[str, Field(max_length=4096), AfterValidator(_is_of_a_file)]
    partition: int | str | None = Field(
        default=None, description="number, node or link of a partition, or LABEL=, UUID=, PARTLABEL=, PARTUUID="
    )
    content: Secret | None = Field(default=None, description="base64")
    url: Secret | None = None
    deleted: bool = False
    mode: Mode | None = None
    dirmode: Mode | None = Field(default=None, description="of its directory, if that has to be made")
    owner: Owner | None = Field(default=None, description="number, or a name that the system itself knows")
    group: Owner | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = (self.content is not None) + (self.url is not None) + self.deleted
        if said != 1:
            raise ValueError(f"{self.path}: needs content, or a URL of it, or deleted, and not two of them")
        if self.partition is None and self.path.count("/") == 1:
            raise ValueError(f"{self.path} lies in the root directory, so it needs a partition")
        return self


class Candidate(Frozen):
    """A partition that may be the one that is meant."""

    node: str = Field(pattern=r"^/dev/[A-Za-z0-9/_.-]+$")
    filesystem: str


class Placed(Frozen):
    """A file, and the partitions where it may belong; with several, the first that has the path's first directory."""

    file: FileToInject
    candidates: tuple[Candidate, ...]


class InjectFiles(Frozen):
    """Mount each file's partition, and put the file there; nothing of the system is run, no link leads out."""

    kind: Literal["inject_files"] = "inject_files"
    disk: DiskIdentity
    placed: tuple[Placed, ...]
