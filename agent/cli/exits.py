# SPDX-License-Identifier: Apache-2.0
"""What this command's exit statuses mean: the one table of them. They are stable: scripts go by them.

Errors bring their own (`AgentError.exit_status`); a test holds both against each other.
"""

from __future__ import annotations

from agent.errors import AgentError

SOMETHING_WRONG = 8
DEGRADED = 9
NOBODYS = 10
EXIT_STATUSES = {
    0: "It is done, or shown.",
    1: "An error of a kind that has no number of its own, or a fault of bms-agent itself.",
    2: "What was asked for is wrong: the command line, a request, a file, a setting. Nothing was touched.",
    3: "No disk, or no single disk, is the one that was meant. Nothing was touched.",
    4: "The machine is not as it must be for this, such as a disk in use, which was not touched.",
    5: "The image is not what was promised, is not to be had, or cannot be written. A disk to which any of it was "
    "written was left unable to boot.",
    6: "The operating system, or the hardware, said no.",
    7: "A controller, or an image server, could not be reached, or the controller refused.",
    SOMETHING_WRONG: "diagnose found something that keeps this machine from working; validate, broken hardware, "
    "or not the flavor's.",
    DEGRADED: "validate found hardware that works, and not as it should, or some of which nothing is known: it could "
    "not be tested, or not to its end.",
    NOBODYS: "service: no controller of ours has deployed this machine. systemd does not start it again in this boot.",
    130: "Interrupted at the keyboard (SIGINT).",
}


def kind_of(code: str) -> type[AgentError]:
    """The error with that code, wherever it happened."""
    kinds: list[type[AgentError]] = [AgentError]
    for kind in kinds:
        if kind.code == code:
            return kind
        kinds += kind.__subclasses__()
    return AgentError


def exit_status_of(code: str) -> int:
    """Its exit status."""
    return kind_of(code).exit_status
