# SPDX-License-Identifier: Apache-2.0
"""The operating system or the hardware said no."""

from __future__ import annotations

from errno import ENODEV

from agent.errors.root import AgentError


class HostError(AgentError):
    """The operating system or the hardware said no."""

    code = "HOST.ERROR"
    exit_status = 6

    @property
    def is_gone(self) -> bool:
        """Whether what was read is not there, or went while it was (fs/kernfs/file.c: ENODEV)."""
        cause = self.__cause__
        return isinstance(cause, FileNotFoundError) or (isinstance(cause, OSError) and cause.errno == ENODEV)


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


class KeyNotSealed(HostError):
    """The node's key lies on the disk, since the TPM does not seal it."""

    code = "KEY.NOT_SEALED"
    advice = "Whoever copies this disk has the key. Look at the TPM: bms-agent inventory, and the firmware's setup."


class KeyLost(HostError):
    """The TPM does not unseal the node's key: it was cleared, is broken, or the disk is in another machine."""

    code = "KEY.LOST"
    advice = "If that was meant, bind the other one: bmsctl node approve NODE FINGERPRINT."


class KeyWaits(HostError):
    """The TPM fails, is busy, or is not there, and may yet unseal the node's key."""

    code = "KEY.WAITS"
    retryable = True
    advice = (
        "It is tried again by itself, once a minute. Look at the TPM in the firmware's setup. Only if it is gone for "
        "good: bind the other key, bmsctl node approve NODE FINGERPRINT."
    )


class DeviceError(HostError):
    """A device failed while it was read, written or asked."""

    code = "HOST.DEVICE_ERROR"
    advice = "See the kernel log and the drive's own health log."


class SealRefused(DeviceError):
    """A TPM will not have what was sealed: it is another one, was cleared, or somebody has a password on it."""

    code = "TPM.SEAL_REFUSED"
    advice = "The key is made anew; bmsctl node approve binds it."


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


class WriterFailed(HostError):
    """The process that fetches and writes an image ended, or is silent. What it wrote is gone on with."""

    code = "HOST.WRITER_FAILED"
    retryable = True
    advice = "Look at its log: journalctl -u bms-agent-writer."


class WriterDistrusted(HostError):
    """The process that fetches and writes an image said what cannot be so: nothing of it is used, and the disk that it
    had was left unable to boot.
    """

    code = "HOST.WRITER_DISTRUSTED"
    advice = (
        "Something has made that process its own, an image perhaps: look at its log (journalctl -u bms-agent-writer)."
    )
