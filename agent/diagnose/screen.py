# SPDX-License-Identifier: Apache-2.0
"""The status screen: who this machine is, whom it serves, how far it is, what went wrong last, how to get a shell.

In: what the agent wrote into /run, the NICs, and, as long as no session is open, a look at the way to the controller.
Out: lines for a terminal, or one line for a serial console. Nothing here asks the agent, so a dead one is seen as dead.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from agent.diagnose import identity
from agent.diagnose.look import itself
from agent.diagnose.seen import InCharge, Seen
from agent.host.doors import Host
from agent.inventory import take
from agent.inventory.fact import attempt
from agent.inventory.network import nics
from agent.job.journal import Job
from agent.model.fact import Unknown, known
from agent.model.fault import Fault
from agent.model.frozen import Frozen
from agent.model.job import JobState, Progress
from agent.model.network import Nic
from agent.model.status import OPEN, Status
from agent.program.printable import on_one_line, printable

MOST_NICS = 6
NAME_COLUMNS = 12
BAR_COLUMNS = 20
MOST_ROWS = 22
MOST_FOLDS = 3
CLIMB_S = 3.0
SHELL_WORD = "bms.shell"
NO_SHELL = f"boot with {SHELL_WORD} on the kernel's command line; then Alt+F2"


class Screen(Frozen):
    """All that is shown."""

    who: str
    nics: tuple[Nic, ...] | Unknown
    status: Status | Unknown | None
    controller: str
    last_fault: Fault | None = None
    shell: str


def screen(host: Host, who: str, before: Screen | None, *, look: bool) -> Screen:
    """As it is now. Without `look` the way to the controller is taken to be as it was before."""
    here = itself.place(host)
    status = attempt(lambda: itself.status(host.files, here))
    jobs = attempt(lambda: itself.jobs(host.files, here))
    cmdline = attempt(lambda: host.files.read_text(itself.CMDLINE))
    has_shell = SHELL_WORD in (known(cmdline) or "").split()
    if isinstance(status, Status) and status.doing in OPEN:
        controller = heard(status)
    elif look or before is None:
        controller = reached(host, here.controllers)
    else:
        controller = before.controller
    return Screen(
        who=who,
        nics=attempt(lambda: nics(host)),
        status=status,
        controller=controller,
        last_fault=here.fault or last_fault(known(status), known(jobs) or ()),
        shell="Alt+F2" if has_shell else NO_SHELL,
    )


def named(host: Host) -> str:
    """Who this machine is; that does not change, and takes a moment to find out."""
    return identity(Seen(inventory=take(host)))


def heard(status: Status) -> str:
    """In the agent's own words."""
    lost = next((fault for fault in status.faults if fault.code.startswith("LINK.")), None)
    return f"{status.controller} ({status.conductor}): {'not heard: ' + lost.message if lost else 'answers'}"


def reached(host: Host, controllers: tuple[InCharge, ...]) -> str:
    """By a look of our own."""
    told = []
    for one in controllers:
        ladder = host.probe.climb(one.url, CLIMB_S, insecure=one.insecure, ca_pem=one.ca_pem)
        broken = ladder.broken  # how long it took is another time each time, and would be a change
        told.append(f"{ladder.url}: {f'{broken.step} {broken.fault}' if broken else 'answers'}")
    return "; ".join(told) or "none is named on the kernel's command line"


def last_fault(status: Status | None, jobs: tuple[Job, ...]) -> Fault | None:
    """What is wrong now, else what became of the last job."""
    if status is not None and status.faults:
        return status.faults[0]
    return jobs[-1].fault if jobs and jobs[-1].state is JobState.FAILED else None


def lines(shown: Screen, columns: int) -> list[str]:
    """For a terminal; none is wider, and they fit one of 25 rows, with a title."""
    status = shown.status if isinstance(shown.status, Status) else None
    rows = [
        ("machine", shown.who),
        ("node", (status.node_id if status else None) or "not known yet"),
        *([("key", status.fingerprint)] if status and status.fingerprint else []),
        *nic_rows(shown.nics),
        ("", ""),
        ("controller", shown.controller),
        ("state", status.doing if status else "the agent has not said anything yet"),
        ("step", step_text(status.progress) if status and status.progress else "-"),
        *fault_rows(shown.last_fault),
        ("", ""),
        ("shell", shown.shell),
    ]
    return [folded for row in rows for folded in fold(*row, columns)][:MOST_ROWS]


def fold(name: str, text: str, columns: int) -> list[str]:
    """In up to three lines; what does not fit into those is in the log. An image server's words are in faults."""
    parts = wrap(printable(text), columns - NAME_COLUMNS, break_on_hyphens=False) or [""]
    names = [name, *[""] * (len(parts) - 1)]
    return [f"{word:<{NAME_COLUMNS}}{part}".rstrip() for word, part in zip(names, parts, strict=True)][:MOST_FOLDS]


def nic_rows(found: tuple[Nic, ...] | Unknown) -> Iterator[tuple[str, str]]:
    """One a NIC; those with a cable first, and of a crowd only so many."""
    if isinstance(found, Unknown):
        yield "NICs", str(found)
        return
    sorted_ = sorted(found, key=lambda nic: (not known(nic.carrier), nic.name))
    for nic in sorted_[:MOST_NICS]:
        addresses = " ".join(map(str, nic.addresses)) or "no address"
        yield nic.name, f"{nic.mac}  {addresses if known(nic.carrier) else 'no carrier'}"
    if len(sorted_) > MOST_NICS:
        yield "", f"… and {len(sorted_) - MOST_NICS} more"


def fault_rows(fault: Fault | None) -> Iterator[tuple[str, str]]:
    """Code and message; what to do."""
    if fault is None:
        yield "last error", "-"
        return
    yield "last error", f"{fault.code}: {fault.message}"
    if fault.hint:
        yield "to do", fault.hint


def step_text(progress: Progress) -> str:
    """`write_image  [##########..........]  50 %  1200 of 2400 MB, limited by the disk`."""
    if progress.said is not None:
        return f"{progress.step}  {progress.said}"
    limit = f", limited by {progress.limited_by}" if progress.limited_by else ""
    done = progress.done_bytes // 10**6
    if not progress.total_bytes:
        return f"{progress.step}  {done} MB{limit}"
    share = min(1.0, progress.done_bytes / progress.total_bytes)
    bar = "#" * int(share * BAR_COLUMNS)
    total = progress.total_bytes // 10**6
    return f"{progress.step}  [{bar:.<{BAR_COLUMNS}}] {share:4.0%}  {done} of {total} MB{limit}"


def line(shown: Screen) -> str:
    """All that changes, for a serial console: progress by tenths, so that it is not flooded."""
    status = shown.status if isinstance(shown.status, Status) else None
    parts = [status.doing if status else "starting", f"controller {shown.controller}"]
    if status and status.progress:
        progress = status.progress
        tenths = f" {10 * (10 * progress.done_bytes // progress.total_bytes)} %" if progress.total_bytes else ""
        parts.append(f"{progress.step}{tenths}")
    if status and status.fingerprint:
        parts.append(f"key {status.fingerprint}")
    if shown.last_fault is not None:
        parts.append(shown.last_fault.code)
    return on_one_line("; ".join(parts))
