# SPDX-License-Identifier: Apache-2.0
"""Every error of the project, one tree, each with its behaviour.

    AgentError
    ├── InputError            what was asked for is wrong: nothing was touched
    │       DecodeError, ConfigError, WrongNode, GenerationOutdated, ConfigurationChanged
    ├── SelectionError        no disk, or no single disk, is the one that was meant: NoDiskMatches, SeveralDisksMatch
    ├── PreconditionError     the machine is not in the state that the plan stands on: nothing was touched
    │       DiskInUse, DiskHoldsData, DiskShared, DiskChanged, DiskReadOnly, ArrayNotWhole, ImageTooLarge,
    │       SectorSizeMismatch, PartitionTableError, NothingToBoot, CaptureRefused, PlanRefused, ChangeUnderWay
    ├── ImageError            the image did not arrive as promised: the disk cannot boot
    │       DigestMismatch, ImageTruncated, ImageOverrun, ImageUnavailable (AccessDenied), ImageChanged,
    │       ImageRefused, SignatureMissing
    ├── Recalled              the request is not wanted any more (TimeOver: a test of it has used up its time)
    ├── HostError             the operating system or the hardware said no
    │       CommandFailed, ToolMissing, RecordedMachine, DeviceError, EraseUnproven, BurnInFailed, ValidationFailed,
    │       NotAsObserved, ProofFailed, RevertFailed, NetworkDrifted
    └── LinkError             the controller could not be reached, or answered nonsense (ControllerRefused)

A face reads the attributes (`code`, `exit_status`, `retryable`, `hint`), never the class. The text says what failed
doing what, a gerund: `AgentError("writing image to /dev/sda", "...")`. The cause is chained with `from`, not pasted in.
"""

from __future__ import annotations

from typing import ClassVar


class AgentError(Exception):
    """Something failed while `doing` something; `evidence` is what was seen."""

    code: ClassVar[str] = "AGENT.ERROR"
    exit_status: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    advice: ClassVar[str] = "Look at the agent's log for the lines before this one."

    def __init__(self, doing: str, evidence: str = "", *, hint: str | None = None) -> None:
        super().__init__(f"{doing}: {evidence}" if evidence else doing)
        self.doing = doing
        self.evidence = evidence
        self.hint = hint or self.advice
        self.found: dict[str, str | int] = {}  # out nevertheless, for a job's report

    def causes(self) -> str:
        """The chain below this error, each link said once, outermost first."""
        links, link = list[str](), self.__cause__
        while link is not None:
            links.append(str(link) or type(link).__name__)
            link = link.__cause__
        return "; caused by ".join(links)


class InputError(AgentError):
    """What was asked for is wrong; nothing was touched."""

    code = "INPUT.INVALID"
    exit_status = 2
    advice = "Correct the request and send it again under a new request id."


class DecodeError(InputError):
    """Bytes or JSON that are not what they claim to be."""

    code = "INPUT.UNDECODABLE"
    advice = "The sender and this agent may be of different versions: compare them."


class ConfigError(InputError):
    """A setting is missing or wrong."""

    code = "CONFIG.INVALID"
    advice = "See /etc/bms-agent/agent.toml, the BMS_AGENT_* environment and the kernel command line."


class WrongNode(InputError):
    """The task names another node."""

    code = "INPUT.WRONG_NODE"
    advice = "The controller sent this node another node's task: look for cloned disks or doubled identities."


class GenerationOutdated(InputError):
    """A desired state older than the one already held."""

    code = "DESIRED.GENERATION_OUTDATED"
    advice = "Two controllers may be fighting, or one was restored from a backup: raise its generation."


class ConfigurationChanged(InputError):
    """The same generation with other content."""

    code = "DESIRED.CONFIGURATION_CHANGED"
    advice = "A generation's content never changes: raise the generation with each change."


class SelectionError(AgentError):
    """No disk, or no single disk, is the one that was meant; the evidence lists every disk and why not."""

    code = "DISK.SELECTION"
    exit_status = 3


class NoDiskMatches(SelectionError):
    """No disk fits the hints."""

    code = "DISK.NONE_MATCHES"
    advice = "Correct the root device hints; the list says for each disk why it does not fit."


class SeveralDisksMatch(SelectionError):
    """More than one disk fits the hints."""

    code = "DISK.SEVERAL_MATCH"
    advice = "Add a hint that only one of them has: its serial or its WWN."


class PreconditionError(AgentError):
    """The machine is not in the state that the plan stands on; nothing was touched."""

    code = "PRECONDITION.FAILED"
    exit_status = 4


class DiskInUse(PreconditionError):
    """The disk is mounted or held."""

    code = "DISK.IN_USE"
    advice = "Unmount it, or stop what holds it, and ask again."


class DiskHoldsData(PreconditionError):
    """The disk holds data and the request does not allow overwriting."""

    code = "DISK.HOLDS_DATA"
    advice = "If the data may go, clean the node first, or ask again with overwriting allowed."


class DiskShared(PreconditionError):
    """The disk holds a filesystem that other machines may be using at this moment."""

    code = "DISK.SHARED"
    advice = "Detach it, or put it into skip_block_devices; [bms.]wipe_special_filesystems allows its loss: see README."


class DiskChanged(PreconditionError):
    """The disk that was planned for is not the disk that is there now."""

    code = "DISK.CHANGED"
    advice = "Hardware changed since the plan was made: plan again from a new inventory."


class DiskReadOnly(PreconditionError):
    """The disk cannot be written."""

    code = "DISK.READ_ONLY"
    advice = "Check the drive's write protection and its health."


class ArrayNotWhole(PreconditionError):
    """A RAID array does not run, or a member of it is missing."""

    code = "RAID.NOT_WHOLE"
    advice = "Replace the drive that is missing; then delete the arrays and make them anew, or let them be rebuilt."


class ImageTooLarge(PreconditionError):
    """The image does not fit on the disk."""

    code = "IMAGE.TOO_LARGE"
    advice = "Choose a larger disk or a smaller image."


class SectorSizeMismatch(PreconditionError):
    """The image was made for another sector size than the disk's."""

    code = "IMAGE.SECTOR_SIZE"
    advice = "A partition table of 512-byte sectors does not boot on a 4Kn disk: use an image made for it."


class PartitionTableError(PreconditionError):
    """The image's partition table cannot take what has to be added."""

    code = "IMAGE.PARTITION_TABLE"
    advice = "Use an image with a GPT, or with at most three primary partitions, and room at the disk's end."


class NothingToBoot(PreconditionError):
    """The disk has no EFI system partition, or no loader for this machine on it."""

    code = "BOOT.NOTHING"
    advice = "Use an image that boots under UEFI, or boot this machine in BIOS mode."


class CaptureRefused(PreconditionError):
    """What is on the disk would make no image that can be deployed, or none that can be trusted."""

    code = "CAPTURE.REFUSED"
    advice = "Mend what it names, or capture nevertheless with --force: the image's result then carries warnings."


class PlanRefused(PreconditionError):
    """The checker found that a plan breaks an invariant."""

    code = "PLAN.REFUSED"
    advice = "This is a fault of the planner: report it with the plan's text."


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


class Recalled(AgentError):
    """The controller does not want the request any more; it was ended where nothing was left half bootable."""

    code = "JOB.RECALLED"
    advice = "Nothing to do: what replaces it follows."


class TimeOver(Recalled):
    """A test of hardware has used up its time: it ends where a recalled one would, and what it found counts."""


class HostError(AgentError):
    """The operating system or the hardware said no."""

    code = "HOST.ERROR"
    exit_status = 6


class CommandFailed(HostError):
    """A command ended with a failure, a signal, or not at all."""

    code = "HOST.COMMAND_FAILED"


class ToolMissing(HostError):
    """A command that is needed is not installed."""

    code = "HOST.TOOL_MISSING"
    advice = "Install the package that has it, or use a ramdisk built by images/ramdisk."


class RecordedMachine(HostError):
    """What a recorded machine cannot do: tell what nobody asked it, or be changed."""

    code = "HOST.RECORDED"
    exit_status = 2
    advice = "With --machine there are looks and plans only (--plan). To act, run it without, on the machine itself."


class DeviceError(HostError):
    """A device failed while it was read, written or asked."""

    code = "HOST.DEVICE_ERROR"
    advice = "See the kernel log and the drive's own health log."


class EraseUnproven(HostError):
    """A disk was erased, and what was read back is not zero."""

    code = "DISK.ERASE_UNPROVEN"
    advice = "The drive does not do as it says: take it out of service, do not give it to another tenant."


class BurnInFailed(HostError):
    """Hardware under load gave a wrong result, or none; the evidence has every finding."""

    code = "HARDWARE.BURN_IN_FAILED"
    advice = "Take the machine out of service, and replace the part that is named."


class ValidationFailed(HostError):
    """Hardware that was tested is broken, or nothing of it could be tested; `found` has every verdict."""

    code = "HARDWARE.VALIDATION_FAILED"
    exit_status = 8
    advice = "Take the machine out of service, and do what the verdicts' codes say (bms-agent validate --list)."


class NotAsObserved(HostError):
    """After acting, the machine is not as the plan expects."""

    code = "HOST.NOT_AS_PLANNED"
    advice = "Something else changes the same thing, or the hardware lies: compare plan and inventory."


class ProofFailed(HostError):
    """A network that was changed does not work."""

    code = "NETWORK.PROOF_FAILED"
    retryable = True
    advice = "The change was taken back. Correct what did not answer, or the configuration that expects it to."


class RevertFailed(HostError):
    """A change of the network could not be taken back in full; it is tried again."""

    code = "NETWORK.REVERT_FAILED"
    retryable = True
    advice = "Look at the machine's console: bms-agent network show, then bms-agent network revert."


class NetworkDrifted(HostError):
    """The network was changed by somebody else, and the policy is to report it."""

    code = "NETWORK.DRIFTED"
    advice = "Order what was changed, or undo it; or let drift be corrected (drift: correct)."


class ChangeUnderWay(PreconditionError):
    """Somebody else is changing the same thing."""

    code = "NETWORK.CHANGE_UNDER_WAY"
    retryable = True
    advice = "One change at a time: wait until the other one is proven or taken back."


class LinkError(AgentError):
    """The controller, or an image server, could not be reached or answered nonsense."""

    code = "LINK.UNREACHABLE"
    exit_status = 7
    retryable = True
    advice = "Check that the address answers from this machine; the agent goes on trying."


class ControllerRefused(LinkError):
    """The controller understood and said no."""

    code = "LINK.REFUSED"
    retryable = False
    advice = "The controller's log says why."

    def __init__(self, doing: str, evidence: str = "", *, hint: str | None = None, refusal: str = "") -> None:
        super().__init__(doing, evidence, hint=hint)
        self.refusal = refusal  # the controller's own code
