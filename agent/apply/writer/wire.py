# SPDX-License-Identifier: Apache-2.0
"""Errors as they go from one side to the other: by code, of a closed list; what is not of it is a failure of who says
it. Words are made plain: a terminal will show them.
"""

from __future__ import annotations

from agent import errors
from agent.errors import AgentError, WriterFailed
from agent.model.writing import Failed
from agent.program.printable import on_one_line

KINDS: tuple[type[AgentError], ...] = (
    errors.InputError,
    errors.DecodeError,
    errors.DiskChanged,
    errors.DiskInUse,
    errors.DiskReadOnly,
    errors.ImageTooLarge,
    errors.SectorSizeMismatch,
    errors.PartitionTableError,
    errors.PreconditionError,
    errors.ImageError,
    errors.DigestMismatch,
    errors.ImageTruncated,
    errors.ImageOverrun,
    errors.ImageUnavailable,
    errors.AccessDenied,
    errors.ImageChanged,
    errors.ImageRefused,
    errors.SignatureMissing,
    errors.HostError,
    errors.DeviceError,
    errors.NotAsObserved,
    errors.LinkError,
    errors.WriterDistrusted,
)
BY_CODE = {kind.code: kind for kind in KINDS}
MOST = 2000


def said(error: AgentError) -> Failed:
    """For the other side."""
    return Failed(code=error.code, doing=error.doing[:MOST], evidence=error.evidence[:MOST], hint=error.hint[:MOST])


def raised(failed: Failed) -> AgentError:
    """As if it had happened here."""
    kind = BY_CODE.get(failed.code, WriterFailed)
    return kind(on_one_line(failed.doing), on_one_line(failed.evidence), hint=on_one_line(failed.hint) or None)
