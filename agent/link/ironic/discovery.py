# SPDX-License-Identifier: Apache-2.0
"""Where Ironic is, by whoever says so on the network: multicast DNS (ironic_python_agent/mdns.py).

Anybody on the network may answer, so it is asked for only where the command line says so; and of what the answer adds,
two parameters are taken, and those only where nobody said them at boot. ironic-python-agent lets the answer win; but
what stands on the command line, Ironic or its operator wrote, and nothing in their contract leaves it to a stranger.
"""

from __future__ import annotations

from threading import Event

from pydantic import ValidationError

from agent.errors import AgentError, DecodeError, LinkError
from agent.host.doors import Host
from agent.model.frozen import faults
from agent.model.ironic.parameters import MDNS, OVERRIDES, Parameters
from agent.model.mdns import AAAA, GROUPS, PORT, SRV, TXT, A, Record, Service, question, records, service
from agent.model.network import IPAddress
from agent.program.log import Logger

API, INSPECTION = "baremetal._openstack._tcp.local.", "baremetal-introspection._openstack._tcp.local."
ATTEMPTS = 3
ANSWER_S = 3.0
FIELDS = {"ipa-inspection-callback-url": "inspection_urls", "ipa-ntp-server": "ntp_server"}

log = Logger("discovery")


def discovered(host: Host, parameters: Parameters, stop: Event) -> Parameters:
    """With what was found in place of `mdns`. Raises `LinkError` where nobody answers who must, `DecodeError`."""
    wants_api = parameters.api_urls == (MDNS,)
    wants_inspection = parameters.inspection_urls == (MDNS,)
    nothing = not parameters.api_urls and not parameters.inspection_urls
    if not (wants_api or wants_inspection or (parameters.use_mdns and nothing)):
        return parameters
    changes: dict[str, object] = {}
    if wants_api or not wants_inspection:
        found = find(host, API, stop)
        changes = {"api_urls": url_of(host, found), **added(parameters, found)}
    if wants_inspection:
        changes["inspection_urls"] = f"{url_of(host, find(host, INSPECTION, stop))}/v1/continue"
    log.info("Ironic found", **{name: str(value) for name, value in changes.items()})
    try:
        return Parameters.model_validate({**dict(parameters), **changes})
    except ValidationError as error:
        raise DecodeError("reading where Ironic is", faults(error)) from None


def added(parameters: Parameters, found: Service) -> dict[str, object]:
    """What else it says, as far as anybody may say that (`ipa_ntp_server`), and nobody has said it before."""
    told = {f"ipa-{key.removeprefix('ipa_').replace('_', '-')}": value for key, value in found.text.items()}
    for name in set(told) - set(OVERRIDES) - {"ipa-path", "ipa-protocol"}:
        log.warning("not taken from multicast DNS", parameter=name)
    taken: dict[str, object] = {}
    for name in (one for one in OVERRIDES if told.get(one)):
        if getattr(parameters, FIELDS[name]):
            log.warning("not taken from multicast DNS: it was said at boot", parameter=name)
        else:
            taken[FIELDS[name]] = told[name]
    return taken


def find(host: Host, name: str, stop: Event) -> Service:
    """Ask, and wait for answers, a few times. Raises `LinkError`."""
    known: list[Record] = []
    for _ in range(ATTEMPTS):
        if stop.is_set():
            break
        links = [link.name for link in host.netlink.tables().links if link.up and link.upper is None]
        heard(host, links, question(name, (SRV, TXT)), name, known)
        place = next((one.host for one in known if one.kind == SRV and one.name == name), None)
        if place is not None and service(known, name) is None:
            heard(host, links, question(place, (A, AAAA)), name, known)
        if found := service(known, name):
            return found
    raise LinkError(
        f"asking the network for {name}", "nobody answers", hint="[conductor]enable_mdns lets Ironic answer."
    )


def heard(host: Host, links: list[str], asked: bytes, name: str, known: list[Record]) -> None:
    """Collect answers until they say where it is."""
    for packet in host.datagrams.ask_around(links, GROUPS, PORT, asked, ANSWER_S):
        try:
            known.extend(records(packet))
        except DecodeError as error:
            log.warning("an answer is damaged", error=str(error))
        if service(known, name) is not None:
            return


def url_of(host: Host, found: Service) -> str:
    """As IPA makes it of what was found. Raises `LinkError`."""
    protocol = found.text.get("protocol") or ("http" if found.port == 80 else "https")
    if protocol not in ("http", "https"):
        raise LinkError("reading where Ironic is", f"its protocol is {protocol[:20]!a}")
    name = found.host.rstrip(".")
    if found.host.lower().endswith(".local."):
        address = reached(host, found)
        name = f"[{address}]" if address.version == 6 else str(address)
    return f"{protocol}://{name}:{found.port}{found.text.get('path', '')}".rstrip("/")


def reached(host: Host, found: Service) -> IPAddress:
    """The first address to which a route leads. Raises `LinkError`."""
    usable = [one for one in found.addresses if not (one.is_loopback or one.is_link_local)]
    for address in usable:
        try:
            if host.probe.source(str(address), found.port) is not None:
                return address
        except AgentError:
            continue
    raise LinkError("reading where Ironic is", f"no route leads to any of {', '.join(map(str, found.addresses))}")
