# SPDX-License-Identifier: Apache-2.0
"""`bmsctl node validate` and `validation`: a node's hardware tested where it stands, and what was found of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from agent.bmsctl.answers import FlavorCheck
from agent.bmsctl.client import Client, JobFailed, read
from agent.bmsctl.flavor import said
from agent.bmsctl.named import escaped
from agent.bmsctl.show import Json, client_of, console, facts, pairs, rows, show
from agent.bmsctl.watch import watch
from agent.errors import InputError
from agent.model.burn_in import Verdict
from agent.model.fault import Fault
from agent.model.frozen import Reply
from agent.model.validation import WORST_FIRST, Validated, is_gap
from agent.model.validation.codes import CODES, PASSED

FAILED, DEGRADED = 8, 9
"""As `bms-agent validate` says it."""
VERDICTS = ("RESULT", "TEST", "OF", "WHAT")
FLAVORS = ("FLAVOR", "", "FIELD", "WANTED", "NODE")


class Ordered(Reply):
    """What was to be tested."""

    profile: str
    parts: tuple[str, ...]
    tests: tuple[str, ...]
    settings: dict[str, int]
    time_limit_s: int | None


class Validation(Reply):
    """One."""

    job_id: str
    status: str
    order: Ordered
    ordered_by: str
    ordered_at: datetime
    ended_at: datetime | None
    fault: Fault | None
    found: Validated | None


class Against(FlavorCheck):
    """The node held against a flavor, and which."""

    flavor: str


class Validations(Reply):
    """The last of a node, newest first, and how it stands against every flavor."""

    node_name: str
    flavors: tuple[Against, ...]
    validations: tuple[Validation, ...]


def validate(
    context: typer.Context,
    node: str,
    profile: Annotated[
        str, typer.Option("--profile", "--mode", help="quick (a minute), standard (half an hour), long (a day)")
    ] = "quick",
    only: Annotated[
        str | None, typer.Option("--only", metavar="PARTS", help="of these alone: cpu,memory,disk,network")
    ] = None,
    tests: Annotated[
        list[str] | None, typer.Option("--test", metavar="NAME", help="this test alone; may be repeated")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="PARAM=VALUE", help="of a test; may be repeated")
    ] = None,
    time_limit: Annotated[int | None, typer.Option(metavar="S", min=1, help="seconds for all tests together")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="until it is done, and show what was found")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="call off the one that is under way")] = False,
    json: Json = False,
) -> None:
    """Test the hardware of a node without a server, in its ramdisk. No disk is written to.

    With --wait, exit status 8: something is broken, and the node is in maintenance; 9: something is not as it should
    be, or could not be tested.
    """
    client = client_of(context)
    path = f"/v1/nodes/{escaped(node)}/validations"
    if cancel:
        show(client.post(f"{path}/cancel"), json, f"node {node}: the validation is called off")
        return
    body = {
        "profile": profile,
        "parts": only.split(",") if only else [],
        "tests": tests or [],
        "settings": {name: number(value) for name, value in pairs(settings or [], "--set").items()},
        "time_limit_s": time_limit,
    }
    answer = client.post(path, body)
    if not wait:
        show(answer, json, f"validating node {node}: job {answer['job_id']}")
        return
    try:
        follow(client, answer["job_id"], as_json=json)
    except JobFailed:
        told(client, node, as_json=json)
        raise
    judge(told(client, node, as_json=json))


def number(value: str) -> int:
    """Raises `InputError`."""
    if not (value.isascii() and value.isdecimal()):
        raise InputError("reading --set", f"{value} is no whole number", hint="See the command's --help.")
    return int(value)


def follow(client: Client, job_id: str, *, as_json: bool) -> None:
    """Watch it, on the terminal's other channel if the answer is for a program. Raises `JobFailed`."""
    terminal = console()
    terminal.stderr = as_json
    watch(client.silent, job_id, terminal)


def validation(
    context: typer.Context,
    node: str,
    every: Annotated[bool, typer.Option("--all", help="those before it, too")] = False,
    json: Json = False,
) -> None:
    """What was found of a node's hardware when it was last tested, and how it stands against the flavors.

    Exit status 8: something is broken; 9: something is not as it should be, or could not be tested.
    """
    judge(told(client_of(context), node, as_json=json, every=every))


def told(client: Client, node: str, *, as_json: bool, every: bool = False) -> Validations:
    """What there is, shown."""
    answer = client.get(f"/v1/nodes/{escaped(node)}/validations")
    found = read(Validations, answer)
    show(answer, as_json, *described(found, every=every))
    return found


def judge(found: Validations) -> None:
    """The status for a script."""
    newest = next((one.found for one in found.validations if one.found is not None), None)
    if newest is not None and newest.state in ("failed", "skipped"):
        raise typer.Exit(FAILED)
    if newest is not None and newest.state != "passed":
        raise typer.Exit(DEGRADED)


def described(found: Validations, *, every: bool) -> Iterable[RenderableType]:
    """As an operator reads it: each verdict, what to do about those that are bad; then the flavors."""
    if not found.validations:
        yield f"node {found.node_name} was never validated"
    for one in found.validations if every else found.validations[:1]:
        yield facts(
            {
                "job": one.job_id,
                "status": one.status,
                "ordered": f"{one.ordered_at:%Y-%m-%d %H:%M:%SZ} by {one.ordered_by}",
                "tests": ", ".join(one.order.tests or (one.order.profile, *one.order.parts)),
                "ended": one.ended_at,
                "fault": f"{one.fault.code}: {one.fault.message}" if one.fault and not one.found else None,
            }
        )
        if one.found is not None:
            yield from verdicts(one.found)
    yield from against(found.flavors)


def verdicts(found: Validated) -> Iterable[RenderableType]:
    """All of one validation."""
    yield rows(VERDICTS, ((one.state, one.test, one.subject or "-", why(one)) for one in found.verdicts))
    bad = (one.code for one in found.verdicts if one.state in ("failed", "degraded") or is_gap(one))
    for code in dict.fromkeys(bad):
        if code in CODES:
            yield Text(f"{code}\nto do    {CODES[code]}\n")
    yield f"{found.state}: {', '.join(f'{found.count(state)} {state}' for state in WORST_FIRST)}"


def why(one: Verdict) -> str:
    """Why it is not simply passed, and its figures."""
    figures = ", ".join(f"{name} {value}" for name, value in one.figures.items())
    return "; ".join(filter(None, ("" if one.code == PASSED else f"{one.code}: {one.told}", figures)))


def against(flavors: tuple[Against, ...]) -> Iterable[RenderableType]:
    """A line for each field that is not as a flavor wants it; one for a flavor that fits."""
    lines: list[tuple[str, ...]] = []
    for flavor in flavors:
        misfits = [one for one in flavor.fields if not one.fits]
        lines += [(flavor.flavor, said(one), one.field, one.wanted, one.found) for one in misfits]
        lines += [] if misfits else [(flavor.flavor, "match", f"all {len(flavor.fields)} fields", "", "")]
    if lines:
        yield rows(FLAVORS, lines)
