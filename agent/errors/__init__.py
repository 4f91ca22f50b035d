# SPDX-License-Identifier: Apache-2.0
"""Every error of the project, one tree, each with its behaviour.

    AgentError
    ├── InputError            what was asked for is wrong: nothing was touched
    │       DecodeError (CertificateForged), ConfigError, WrongNode, GenerationOutdated, ConfigurationChanged
    ├── SelectionError        no disk, or no single disk, is the one that was meant: NoDiskMatches, SeveralDisksMatch
    ├── PreconditionError     the machine is not in the state that the plan stands on: nothing was touched
    │       DiskInUse, DiskHoldsData, DiskShared, DiskChanged, DiskReadOnly, ArrayNotWhole, ImageTooLarge,
    │       SectorSizeMismatch, PartitionTableError, NothingToBoot, CaptureRefused, PlanRefused, ChangeUnderWay
    ├── ImageError            the image did not arrive as promised: the disk cannot boot
    │       DigestMismatch, ImageTruncated, ImageOverrun, ImageUnavailable (AccessDenied), ImageChanged,
    │       ImageRefused, SignatureMissing
    ├── Recalled              the request is not wanted any more (TimeOver: a test of it has used up its time)
    ├── JournalLost           what had become of a request cannot be known
    ├── HostError             the operating system or the hardware said no
    │       CommandFailed, ToolMissing, RecordedMachine, DeviceError, EraseUnproven, BurnInFailed, ValidationFailed,
    │       NotAsObserved, ProofFailed, RevertFailed, NetworkDrifted, SealRefused, KeyLost, KeyWaits,
    │       KeyNotSealed, WriterFailed, WriterDistrusted
    └── LinkError             the controller could not be reached, or answered nonsense: ControllerRefused,
            CertificateNotRenewed

A face reads the attributes (`code`, `exit_status`, `retryable`, `hint`), never the class. The text says what failed
doing what, a gerund: `AgentError("writing image to /dev/sda", "...")`. The cause is chained with `from`, not pasted in.
"""

from __future__ import annotations

from agent.errors.host import (
    BurnInFailed,
    CommandFailed,
    DeviceError,
    EraseUnproven,
    HostError,
    KeyLost,
    KeyNotSealed,
    KeyWaits,
    NetworkDrifted,
    NotAsObserved,
    ProofFailed,
    RecordedMachine,
    RevertFailed,
    SealRefused,
    ToolMissing,
    ValidationFailed,
    WriterDistrusted,
    WriterFailed,
)
from agent.errors.image import (
    AccessDenied,
    DigestMismatch,
    ImageChanged,
    ImageError,
    ImageOverrun,
    ImageRefused,
    ImageTruncated,
    ImageUnavailable,
    SignatureMissing,
)
from agent.errors.link import CertificateNotRenewed, ControllerRefused, LinkError
from agent.errors.order import (
    CertificateForged,
    ConfigError,
    ConfigurationChanged,
    DecodeError,
    GenerationOutdated,
    InputError,
    JournalLost,
    NoDiskMatches,
    Recalled,
    SelectionError,
    SeveralDisksMatch,
    TimeOver,
    WrongNode,
)
from agent.errors.root import AgentError
from agent.errors.state import (
    ArrayNotWhole,
    CaptureRefused,
    ChangeUnderWay,
    DiskChanged,
    DiskHoldsData,
    DiskInUse,
    DiskReadOnly,
    DiskShared,
    ImageTooLarge,
    NothingToBoot,
    PartitionTableError,
    PlanRefused,
    PreconditionError,
    SectorSizeMismatch,
)

__all__ = [
    "AccessDenied",
    "AgentError",
    "ArrayNotWhole",
    "BurnInFailed",
    "CaptureRefused",
    "CertificateForged",
    "CertificateNotRenewed",
    "ChangeUnderWay",
    "CommandFailed",
    "ConfigError",
    "ConfigurationChanged",
    "ControllerRefused",
    "DecodeError",
    "DeviceError",
    "DigestMismatch",
    "DiskChanged",
    "DiskHoldsData",
    "DiskInUse",
    "DiskReadOnly",
    "DiskShared",
    "EraseUnproven",
    "GenerationOutdated",
    "HostError",
    "ImageChanged",
    "ImageError",
    "ImageOverrun",
    "ImageRefused",
    "ImageTooLarge",
    "ImageTruncated",
    "ImageUnavailable",
    "InputError",
    "JournalLost",
    "KeyLost",
    "KeyNotSealed",
    "KeyWaits",
    "LinkError",
    "NetworkDrifted",
    "NoDiskMatches",
    "NotAsObserved",
    "NothingToBoot",
    "PartitionTableError",
    "PlanRefused",
    "PreconditionError",
    "ProofFailed",
    "Recalled",
    "RecordedMachine",
    "RevertFailed",
    "SealRefused",
    "SectorSizeMismatch",
    "SelectionError",
    "SeveralDisksMatch",
    "SignatureMissing",
    "TimeOver",
    "ToolMissing",
    "ValidationFailed",
    "WriterDistrusted",
    "WriterFailed",
    "WrongNode",
]
