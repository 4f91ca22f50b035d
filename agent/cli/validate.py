# SPDX-License-Identifier: Apache-2.0
"""`bms-agent validate`: test hardware by hand, or compare it with a flavor. Disks are read only, unless named."""

from __future__ import annotations

from contextlib import AbstractContextManager
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from agent.apply.convert import Show
    from agent.host.doors import Host
    from agent.model.burn_in import Verdict
    from agent.model.request import ValidateRequest
    from agent.model.validation import Validated

STYLES = {"failed": "bold red", "degraded": "yellow", "incomplete": "yellow", "skipped": "dim"}
OPENING_S = 3
"""To look at the hardware, before the first test."""
Choice = typer.Option("--profile", help="how much: quick (a minute), standard (half an hour), long (a day)")
Only = typer.Option("--only", metavar="PARTS", help="of these alone: cpu,memory,disk,network")
Named = typer.Option("--test", metavar="NAME", help="this test alone; may be repeated")
Set = typer.Option("--set", metavar="PARAM=VALUE", help="of a test, or TEST.PARAM=VALUE; may be repeated")
Disks = typer.Option("--disk", metavar="SERIAL", help="only this disk, by serial or WWN; may be repeated")
Wipe = typer.Option("--wipe", help="DESTROY what is on those disks, to test writing")
Limit = typer.Option("--time-limit", metavar="S", min=1, help="seconds for all tests together")
Against = typer.Option("--flavor", metavar="FILE", help="test nothing; compare with this flavor, as JSON")


def validate(
    profile: Annotated[str, Choice] = "quick",
    only: Annotated[str | None, Only] = None,
    tests: Annotated[list[str] | None, Named] = None,
    settings: Annotated[list[str] | None, Set] = None,
    disks: Annotated[list[str] | None, Disks] = None,
    wipe: Annotated[bool, Wipe] = False,
    time_limit: Annotated[int | None, Limit] = None,
    flavor: Annotated[Path | None, Against] = None,
    listed: Annotated[bool, typer.Option("--list", help="test nothing; show every test, and what can be set")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="only show what would be done")] = False,
    json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Test this machine's hardware, and judge what is found.

    Nothing is written to a disk that is not named. Ctrl-C ends it, and leaves nothing behind. Exit status 8: something
    is broken; 9: something is not as it should be, or could not be tested.
    """
    from agent.cli.job import BY_HAND, new_request_id

    if listed:
        catalogue(as_json=json)
        return
    from agent.cli.machine import host as open_host

    host = open_host()
    if flavor is not None:
        from agent.cli.flavor import compare

        compare(host, flavor, as_json=json)
        return
    asked = {
        "request_id": new_request_id(),
        "node_id": BY_HAND,
        "profile": profile,
        "parts": () if only is None else tuple(only.split(",")),
        "tests": tuple(tests or ()),
        "settings": dict(map(setting, settings or ())),
        "disks": tuple(disks or ()),
        "wipe": wipe,
        "time_limit_s": time_limit,
    }
    perform(host, request_of(asked), plan_only=plan, as_json=json)


def setting(text: str) -> tuple[str, int]:
    """`seconds=60`. Raises `InputError`."""
    name, _, value = text.partition("=")
    if not (name and value.isascii() and value.isdecimal()):
        raise InputError("reading the command line", f"--set {text} is not PARAM=VALUE, of a whole number")
    return name, int(value)


def request_of(asked: dict[str, object]) -> ValidateRequest:
    """Raises `InputError`, before anything is touched."""
    from pydantic import ValidationError

    from agent.model.frozen import faults
    from agent.model.request import ValidateRequest

    try:
        return ValidateRequest.model_validate(asked)
    except ValidationError as error:
        raise InputError("reading the command line", faults(error), hint="See bms-agent validate --help.") from None


def perform(host: Host, request: ValidateRequest, *, plan_only: bool, as_json: bool) -> None:
    """As every operation by hand, but that what was found is shown whatever it is."""
    from agent.cli.bar import time_bar
    from agent.cli.exits import DEGRADED
    from agent.cli.job import Failed, by_hand, carried_out
    from agent.cli.logs import configure
    from agent.model.frozen import decode
    from agent.model.validation import Validate, Validated
    from agent.plan.text import text

    configure("critical", "text")  # what is found, and what fails, is shown once, and nothing goes through the bar
    operations = by_hand(host)
    planned = operations.plan(request)
    if plan_only:
        typer.echo(planned.model_dump_json(indent=2) if as_json else text(planned))
        return
    seconds = OPENING_S + sum(
        trial.seconds for step in planned.steps if isinstance(step, Validate) for trial in step.trials
    )

    def drawn() -> AbstractContextManager[Show]:
        return time_bar(min(seconds, request.time_limit_s or seconds))

    job = carried_out(host, operations, request, drawn)
    report = job.result.get("report")
    found = None if report is None else decode(Validated, str(report), "reading what was found")
    if found is not None and as_json:
        typer.echo(found.model_dump_json(indent=2))
    elif found is not None:
        draw(found)
    if job.fault is not None:
        raise typer.Exit(Failed(job.fault).exit_status) if found is not None else Failed(job.fault)
    if found is not None and found.state in ("degraded", "incomplete"):
        raise typer.Exit(DEGRADED)


def draw(found: Validated) -> None:
    """Every verdict, then what to do about those that are bad. In a pipe, a line each."""
    from agent.cli.terminal import terminal
    from agent.model.validation import WORST_FIRST, is_gap

    console = terminal(soft_wrap=not terminal().is_terminal)
    console.print(table(found) if console.is_terminal else "\n".join(map(line, found.verdicts)))
    for code in dict.fromkeys(one.code for one in found.verdicts if one.state in ("failed", "degraded") or is_gap(one)):
        console.print(f"\n{code}\nto do    {advice(code)}")
    counts = ", ".join(f"{found.count(state)} {state}" for state in WORST_FIRST)
    console.print(f"\n{found.state}: {counts}", style=STYLES.get(found.state))


def table(found: Validated) -> Table:
    """For a terminal."""
    from agent.cli.inventory import narrow

    drawn = narrow("result", "test", "of", "what", firm=2)
    for one in found.verdicts:
        drawn.add_row(one.state, one.test, one.subject or "-", told(one), style=STYLES.get(one.state))
    return drawn


def line(one: Verdict) -> str:
    """For whoever searches."""
    return f"{one.state:9}{one.test:18}{one.subject or '-':24} {told(one)}"


def told(one: Verdict) -> str:
    """Why it is not simply passed, and its figures."""
    from agent.model.validation.codes import PASSED

    figures = ", ".join(f"{name} {value}" for name, value in one.figures.items())
    return "; ".join(filter(None, ("" if one.code == PASSED else f"{one.code}: {one.told}", figures)))


def advice(code: str) -> str:
    """Of validation's codes, or of an error's."""
    from agent.cli.exits import kind_of
    from agent.model.validation.codes import CODES

    return CODES.get(code) or kind_of(code).advice


def catalogue(*, as_json: bool) -> None:
    """Every test there is, and what to do about what each code says."""
    from agent.cli.terminal import terminal
    from agent.model.validation.catalogue import CATALOGUE
    from agent.model.validation.codes import CODES

    if as_json:
        typer.echo(dumps({"tests": [one.model_dump(mode="json") for one in CATALOGUE], "codes": CODES}, indent=2))
        return
    console = terminal(soft_wrap=not terminal().is_terminal)
    for test in CATALOGUE:
        destroys = "  DESTROYS what is on the disks that are named" if test.destroys else ""
        console.print(f"{test.name}  ({', '.join(test.profiles)}){destroys}", style="bold")
        console.print(f"    {test.proves}")
        for each in test.parameters:
            values = "/".join(map(str, each.values))
            console.print(f"    {each.name}={values} {each.unit}: {each.means}; {each.least} to {each.most}")
    for code, to_do in CODES.items():
        console.print(f"\n{code}", style="bold")
        console.print(f"    {to_do}")
