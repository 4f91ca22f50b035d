# SPDX-License-Identifier: Apache-2.0
"""`bmsctl security-group`: what may reach a server, and what it may reach."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agent.bmsctl.client import read
from agent.bmsctl.named import escaped
from agent.bmsctl.networks import Group, Rule
from agent.bmsctl.show import Json, client_of, facts, rows, show
from agent.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Security groups: rules that allow; what none allows is dropped.")
rules = typer.Typer(no_args_is_help=True, help="Rules of a security group.")
app.add_typer(rules, name="rule")

PATH = "/v1/security-groups"


@app.command("create")
def create(context: typer.Context, name: str, json: Json = False) -> None:
    """Create a group that lets everything out and nothing in."""
    answer = client_of(context).post(PATH, {"name": name})
    show(answer, json, f"security group {name} created: everything out, nothing in")


@app.command("list")
def list_groups(context: typer.Context, json: Json = False) -> None:
    """Every group."""
    answer = client_of(context).get(PATH)
    groups = read(tuple[Group, ...], answer)
    show(answer, json, rows(("NAME", "RULES", "NICS", "ID"), ((g.name, len(g.rules), g.nics, g.id) for g in groups)))


@app.command("show")
def show_group(context: typer.Context, group: str, json: Json = False) -> None:
    """One group with its rules, by id or name."""
    answer = client_of(context).get(f"{PATH}/{escaped(group)}")
    it = read(Group, answer)
    columns = ("DIRECTION", "IP", "PROTOCOL", "PORTS", "WITH", "RULE")
    table = rows(columns, ((r.direction, r.version, r.protocol or "any", r.ports, r.whom, r.id) for r in it.rules))
    show(answer, json, facts({"group": it.name, "id": it.id, "NICs": it.nics}), table)


@app.command("delete")
def delete(context: typer.Context, group: str, json: Json = False) -> None:
    """Delete a group that no NIC is in."""
    answer = client_of(context).delete(f"{PATH}/{escaped(group)}")
    show(answer, json, f"security group {group} deleted")


@rules.command("add")
def add(
    context: typer.Context,
    group: str,
    direction: Annotated[str, typer.Option(help="in or out")],
    protocol: Annotated[str | None, typer.Option(help="tcp, udp, icmp, or a number; left out, all")] = None,
    port: Annotated[str | None, typer.Option(help="PORT or FIRST-LAST, of tcp and udp")] = None,
    icmp_type: Annotated[int | None, typer.Option(help="of icmp")] = None,
    icmp_code: Annotated[int | None, typer.Option(help="of icmp")] = None,
    remote: Annotated[str | None, typer.Option(help="with whom: a network, such as 203.0.113.0/24")] = None,
    remote_group: Annotated[str | None, typer.Option(help="with whom: members of a group, by id or name")] = None,
    version: Annotated[int, typer.Option(help="of IP: 4 or 6")] = 4,
    json: Json = False,
) -> None:
    """Allow something. What answers it is allowed too."""
    body: dict[str, Any] = {
        "direction": direction,
        "version": version,
        "protocol": int(protocol) if protocol and protocol.isdecimal() else protocol,
        "icmp_type": icmp_type,
        "icmp_code": icmp_code,
        "remote": remote,
        "remote_group": remote_group,
        **ports(port),
    }
    answer = client_of(context).post(f"{PATH}/{escaped(group)}/rules", body)
    show(answer, json, f"rule {read(Rule, answer).id} added to {group}")


@rules.command("remove")
def remove(
    context: typer.Context,
    group: str,
    rule: Annotated[str, typer.Argument(help="its id: see bmsctl security-group show")],
    json: Json = False,
) -> None:
    """Allow it no more."""
    answer = client_of(context).delete(f"{PATH}/{escaped(group)}/rules/{escaped(rule)}")
    show(answer, json, f"rule {rule} removed from {group}")


def ports(word: str | None) -> dict[str, int]:
    """PORT or FIRST-LAST. Raises `InputError`."""
    if word is None:
        return {}
    first, dash, last = word.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise InputError("reading --port", f"{word} is not PORT or FIRST-LAST", hint="Such as 22, or 8000-8099.")
    return {"first_port": int(first), "last_port": int(last or first)}
