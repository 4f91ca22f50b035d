# SPDX-License-Identifier: Apache-2.0
"""`bms-agent network …`: this machine's network as it is, and bringing it to a desired state by hand."""

from __future__ import annotations

import json as json_text
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from agent.cli.terminal import terminal
from agent.errors import DecodeError, HostError, InputError
from agent.model.frozen import decode
from agent.model.network import Bond, Bridge, Ethernet, Manager, NetworkConfig, NetworkState
from agent.model.network.network_data import network_config
from agent.model.network.state import has_lease
from agent.program.wait import waiting

STATE = "/var/lib/bms-agent"
AT_BOOT = "After the next boot these have only the addresses that the file gives them, and DHCP only where it says so:"

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="a network, or OpenStack's network_data.json")]
State = Annotated[Path, typer.Option("--state", help="where the agent keeps what held last", hidden=True)]

app = typer.Typer(no_args_is_help=True, help="The network of this machine.")


@app.command("show")
def show(
    links: Annotated[bool, typer.Option("--links", help="links of every kind and routes, instead of NICs")] = False,
    config: Annotated[
        bool, typer.Option("--config", help="its links, routes and rules, as a network to apply")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False,
) -> None:
    """Show the network as it is."""
    from agent.cli.inventory import nic_table
    from agent.cli.machine import host as open_host
    from agent.networking import Networking

    state = Networking(open_host()).network_state(NetworkConfig())
    if config:
        typer.echo(configured(state).model_dump_json(indent=2, exclude_none=True))
    elif json:
        typer.echo(state.model_dump_json(indent=2))
    elif links:
        terminal().print(link_table(state))
        terminal().print(route_table(state))
    else:
        terminal().print(nic_table(state.nics))


def configured(state: NetworkState) -> NetworkConfig:
    """As it is, in the words in which one is desired. It need not be sound: it is so. A link with a lease of IPv4 asks
    for it: else what is written for the next boot would not.
    """
    leased = {one.name for one in state.links if has_lease(state.links, state.leased_routes, one.name, 4)}
    found = tuple(link.config for link in state.links if link.config is not None)
    links = tuple(one.model_copy(update={"dhcp4": True}) if one.name in leased else one for one in found)
    return NetworkConfig.model_construct(links=links, routes=state.routes, rules=state.rules)


def link_table(state: NetworkState) -> Table:
    """Links, one a row."""
    table = Table("LINK", "KIND", "STATE", "MAC", "MTU", "PORT OF", "ADDRESSES", box=None)
    for link in state.links:
        carrier = "up" if link.up and link.carrier else "no carrier" if link.up else "down"
        addresses = [str(one) for one in link.addresses] + [f"{one} (lease)" for one in link.leases]
        table.add_row(link.name, link.kind, carrier, link.mac, str(link.mtu), link.upper or "", "\n".join(addresses))
    return table


def route_table(state: NetworkState) -> Table:
    """Routes that somebody set, one a row, and the rules before them."""
    from agent.plan.network.text import route_text, rule_text

    table = Table("\nROUTES AND RULES", box=None)
    for route in (*state.routes, *state.leased_routes):
        table.add_row(route_text(route))
    for rule in state.rules:
        table.add_row(f"rule {rule_text(rule)}")
    return table


@app.command("apply")
def apply(
    file: File,
    plan: Annotated[bool, typer.Option("--plan", help="only show what would be done")] = False,
    controller: Annotated[str | None, typer.Option(help="URL that must answer afterwards")] = None,
    allow_disconnect: Annotated[bool, typer.Option("--allow-disconnect", help="it may be cut off")] = False,
    persist: Annotated[bool, typer.Option(help="write it down for the next boot")] = True,
    state: State = Path(STATE),
) -> None:
    """Bring the network to what the file says. What is so already is not touched; what does not work is taken back."""
    from agent.cli.machine import host as open_host
    from agent.job.commit import NetworkCommit
    from agent.networking import Networking
    from agent.plan.network.text import text

    desired = read(file)
    if allow_disconnect:
        desired = desired.model_copy(update={"allow_disconnect": True})
    host = open_host()
    networking = Networking(host, controller, persist=persist)
    commit = NetworkCommit(host, networking, str(state))
    if not plan:
        with waiting("looking for a change that is under way"):
            commit.recover()
    held = commit.record.held()
    with waiting("looking at the network"):
        now = networking.network_state(desired)
        planned = networking.plan_network(now, desired, held.config)
    typer.echo(text(planned))
    if persist and (names := ", ".join(lost_at_boot(desired, now))):
        typer.echo(f"{AT_BOOT} {names}", err=True)
    if plan:
        return
    try:
        with waiting("changing the network, and proving it"):
            commit.bring_about(planned, now, desired, held, held.generation)
    except KeyboardInterrupt:
        typer.echo("what was begun, and is not proven, is taken back without this command", err=True)
        raise
    typer.echo("done, and proven" if planned.steps else "nothing was touched")


def lost_at_boot(desired: NetworkConfig, now: NetworkState) -> Iterator[str]:
    """Links with an address, or a lease of IPv4, of which the file says nothing: the next boot brings none."""
    ports = {port for link in desired.links if isinstance(link, Bond | Bridge) for port in link.ports}
    for link in desired.links:
        is_nic = isinstance(link, Ethernet)
        there = [one for one in now.links if (one.permanent_mac == link.mac if is_nic else one.name == link.name)]
        for one in there if link.name not in ports else ():
            is_leased = any(lease.version == 4 for lease in one.leases)
            if (one.addresses and link.addresses is None) or (is_leased and not link.dhcp4):
                yield one.name


def read(file: Path) -> NetworkConfig:
    """Ours, or OpenStack's. Raises `InputError`."""
    text = file.read_bytes()
    try:
        found = json_text.loads(text)
    except ValueError as error:
        hint = "Give a network: bms-agent network show --config prints this machine's."
        raise InputError(f"reading {file}", f"it is no JSON: {error}", hint=hint) from None
    try:
        openstack = isinstance(found, dict) and "networks" in found
        return network_config(text) if openstack else decode(NetworkConfig, text, f"reading {file}")
    except DecodeError as error:
        hint = "Correct the fields that are named; bms-agent network show --config prints this machine's network."
        raise InputError(f"reading {file}", error.evidence, hint=hint) from None


@app.command("convert")
def convert(file: File) -> None:
    """Show what OpenStack's network_data.json means, as a network of ours."""
    typer.echo(read(file).model_dump_json(indent=2, exclude_none=True))


@app.command("render")
def render(
    file: File,
    manager: Annotated[Manager | None, typer.Option(help="left out, it is what the system uses")] = None,
    root: Annotated[Path | None, typer.Option(help="a mounted system; its files are written")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="show the files, whatever --root says")] = False,
    json: Annotated[bool, typer.Option("--json", help="path and text of each, as JSON")] = False,
) -> None:
    """Show the files with which a boot begins with this network, or write them into a mounted system."""
    from agent.apply.network.persist import write_into
    from agent.cli.machine import host as open_host
    from agent.inventory.network.persistence import manager_of
    from agent.networking import rendered

    host = open_host(str(root or "/"))
    texts = rendered(read(file), manager or manager_of(host.files))
    if root is not None and not plan:
        write_into(host.files, texts)
    if json:
        typer.echo(json_text.dumps(texts, indent=2))
        return
    for path, text in texts.items():
        typer.echo(f"# {path}\n{text}" if root is None or plan else path)


@app.command("revert")
def revert(
    plan: Annotated[bool, typer.Option("--plan", help="only show what would be done")] = False,
    state: State = Path(STATE),
) -> None:
    """Take back a change that was neither proven nor taken back, if there is one."""
    from agent.cli.machine import host as open_host
    from agent.job.commit import NetworkCommit
    from agent.networking import Networking
    from agent.plan.network.text import text

    host = open_host()
    networking = Networking(host)
    commit = NetworkCommit(host, networking, str(state))
    if plan and (pending := commit.record.pending()) is not None:
        now = networking.network_state(pending.failed)
        typer.echo(text(networking.plan_revert(now, pending.snapshot, pending.failed)))
        return
    with waiting("taking the change back"):
        taken_back = not plan and commit.recover()
    typer.echo("taken back" if taken_back else "there is nothing to take back")


@app.command("guard", hidden=True)
def guard(state: State = Path(STATE)) -> None:
    """Watch over a change that another process has begun: take it back if that dies, or takes too long."""
    from agent.cli.machine import host as open_host
    from agent.host.detach import detach
    from agent.job.commit import NetworkCommit
    from agent.networking import Networking

    host = open_host()
    commit = NetworkCommit(host, Networking(host), str(state))
    if commit.record.pending() is None:
        raise HostError("watching over a change of the network", "there is none under way")
    detach()
    commit.guard()
