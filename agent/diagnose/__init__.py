# SPDX-License-Identifier: Apache-2.0
"""Floor 5, the operator's findings: look at this machine, judge what is seen, say what to do about it.

    observe ─► Seen ─► rules (pure, one table) ─► findings, worst first

It changes nothing, needs no daemon and no network, and is over in two seconds: what is not known by then is said to be
unknown, and no rule takes the unknown for good or for bad.
"""

from __future__ import annotations

from agent.diagnose.observe import observe
from agent.diagnose.rules import judged
from agent.diagnose.seen import Seen
from agent.host.doors import Host
from agent.inventory.fact import said
from agent.model.fact import Unknown, known
from agent.model.finding import Diagnosis, Severity

LOOK_S = 1.3
"""So that, with the start of a process, the answer is there within two seconds."""


def diagnose(host: Host, *, look_s: float = LOOK_S, listen_s: float = 0.0) -> Diagnosis:
    """All that is wrong with this machine. `listen_s`: how long switches are listened to. Raises nothing."""
    began_s = host.clock.monotonic_s()
    seen = observe(host, look_s, listen_s)
    findings = judged(seen)
    bad = [one for one in findings if one.severity is Severity.ERROR]
    more = f" ({len(bad) - 1} more)" if len(bad) > 1 else ""
    return Diagnosis(
        who=identity(seen),
        answer=f"{bad[0].what}{more}" if bad else "nothing was found that keeps this machine from working",
        findings=findings,
        unknown=seen.unknown(),
        took_s=round(host.clock.monotonic_s() - began_s, 3),
    )


def identity(seen: Seen) -> str:
    """Who this machine is, in one line."""
    inventory = seen.inventory
    system = Unknown(unknown=inventory.unknown) if isinstance(inventory, Unknown) else inventory.system
    if isinstance(system, Unknown):
        return "a machine that does not say who it is"
    parts = [said(known(system.vendor)), said(known(system.product))]
    name = " ".join(part for part in parts if part) or "a machine without a name"
    return f"{name}, serial {known(system.serial) or '-'}, booted by {system.firmware_mode}"
