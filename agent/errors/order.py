# SPDX-License-Identifier: Apache-2.0
"""What was asked for is wrong, names no disk, or is not wanted any more."""

from __future__ import annotations

from agent.errors.root import AgentError


class InputError(AgentError):
    """What was asked for is wrong; nothing was touched."""

    code = "INPUT.INVALID"
    exit_status = 2
    advice = "Correct the request and send it again under a new request id."


class DecodeError(InputError):
    """Bytes or JSON that are not what they claim to be."""

    code = "INPUT.UNDECODABLE"
    advice = "The sender and this agent may be of different versions: compare them."


class CertificateForged(DecodeError):
    """What proves an erasure is not what was signed, not by that key, or not of that node."""

    code = "INPUT.CERTIFICATE_FORGED"
    advice = "It proves nothing: ask the controller for the one that it keeps (bmsctl node erasure NODE --all --json)."


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


class Recalled(AgentError):
    """The controller does not want the request any more; it was ended where nothing was left half bootable."""

    code = "JOB.RECALLED"
    advice = "Nothing to do: what replaces it follows."


class JournalLost(AgentError):
    """What had become of a request cannot be known: the journal was damaged, or a later version's."""

    code = "JOB.LOST"
    advice = "Look at the machine, and order it again if need be; beside the journal is the one that cannot be read."


class TimeOver(Recalled):
    """A test of hardware has used up its time: it ends where a recalled one would, and what it found counts."""
