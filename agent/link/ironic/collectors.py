# SPDX-License-Identifier: Apache-2.0
"""The collectors of an inspection: what each brings, and the body that Ironic gets.

All run side by side, for some wait: for addresses, for switches. A collector that fails costs only its own part, and is
logged; what is missing in `inventory` itself, or was asked for and is not known here, is said in `error`, for that is
where operators look, and it fails the inspection. `logs` comes last, and has what the others had to say.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from functools import partial
from threading import Event
from typing import Any

from agent.apply.network.firmware_lldp import stop_firmware_lldp
from agent.errors import AgentError, HostError
from agent.host import smbios
from agent.host.doors import Host
from agent.inventory import take
from agent.inventory.bmc import bmc
from agent.inventory.devices import pci_devices, usb_devices
from agent.inventory.fact import attempt
from agent.inventory.logs import bundle
from agent.inventory.network import nics
from agent.inventory.network.link_local import link_locals
from agent.inventory.numa import numa_topology
from agent.inventory.side_by_side import side_by_side
from agent.link.ironic.dmi import dmi
from agent.link.ironic.extra_hardware import extra_hardware
from agent.link.ironic.inspection import RawTlvs, Surroundings, document, faults, with_lldp
from agent.model.fact import Unknown, known
from agent.model.ironic.parameters import Parameters
from agent.model.lldp import tlvs
from agent.model.network import Nic
from agent.program.log import Logger

DEFAULT, LOGS = "default", "logs"
LOGS_BYTES = 8 << 20  # 11 MiB in base64: Ironic takes 16 MiB in all ([api]max_json_body_size_inspection)
HOSTNAME = "/proc/sys/kernel/hostname"
LOOK_S = 1.0
READ_S = 300.0
"""For all that is read, behind the waits that Ironic wants: a disk may be slow; one that hangs hides no other part."""

Body = dict[str, Any]
log = Logger("inspection")


def posted(host: Host, parameters: Parameters, *, skip_bmc: bool = False, stop: Event | None = None) -> bytes:
    """The body as JSON."""
    return json.dumps(collect(host, parameters, skip_bmc=skip_bmc, stop=stop)).encode()


def collect(host: Host, parameters: Parameters, *, skip_bmc: bool = False, stop: Event | None = None) -> Body:
    """Everything that the collectors of these parameters bring. The default one always runs: without `inventory` Ironic
    would not even read what is in `error`. `stop` ends the waiting, not the inspection. Raises `HostError` where that
    one fails, or hangs.
    """
    names = parameters.collected
    asked = {name: partial(bring, host, parameters) for name, bring in COLLECTORS.items() if name in names}
    first = partial(default, host, parameters, skip_bmc, stop or Event())
    limit_s = parameters.dhcp_wait_s + parameters.lldp_timeout_s + READ_S
    brought = side_by_side({DEFAULT: first, **asked}, limit_s)
    body = brought.pop(DEFAULT)
    if isinstance(body, Unknown):
        raise HostError("inspecting this machine", body.unknown)
    others: Body = {}
    for name, found in brought.items():
        if isinstance(found, Unknown):
            log.warning("collector failed", collector=name, error=found.unknown)
        else:
            others |= found
    if parameters.collect_lldp:
        body = with_lldp(body, others.get("lldp_raw", {}))
    return {**body, **others, **(logs(host) if LOGS in names else {})}


def default(host: Host, parameters: Parameters, skip_bmc: bool, stop: Event) -> Body:
    """The inventory, once the NIC that booted has an address."""
    wait_for_address(host, parameters, stop)
    found = attempt(lambda: bmc(host)) if not skip_bmc else None
    if isinstance(found, Unknown):
        log.warning("the BMC does not tell its address", error=found.unknown)
    names = parameters.collected
    locals_ = attempt(lambda: link_locals(host.files))
    hostname = attempt(lambda: host.files.read_text(HOSTNAME).strip())
    around = Surroundings(
        hostname=known(hostname) or "localhost",
        collectors=parameters.collected,
        boot_interface=parameters.boot_interface,
        bmc=found,
        link_locals=known(locals_) or {},
        faults=[f"there is no collector {name!r}, but {', '.join(KNOWN)}" for name in names if name not in KNOWN],
    )
    inventory = take(host)
    if parameters.vlans:
        from agent.link.ironic.attach import tagged_links  # lazy: see prepare

        inventory = inventory.model_copy(update={"nics": (*(known(inventory.nics) or ()), *tagged_links(host))})
    for fault in faults(inventory):
        log.error("inspection fails", reason=fault)
    return document(inventory, around)


def wait_for_address(host: Host, parameters: Parameters, stop: Event) -> None:
    """Of the NIC that booted, for as long as Ironic wants us to; hooks look at addresses. Where it is not known which
    NIC booted, and where the NICs cannot be read, nobody is waited for.
    """
    end_s = host.clock.monotonic_s() + parameters.dhcp_wait_s
    while host.clock.monotonic_s() < end_s:
        found = attempt(lambda: [nic for nic in nics(host) if is_meant(nic, parameters)])
        waiting = [nic for nic in known(found) or () if not nic.addresses]
        if not waiting or host.clock.wait(stop, LOOK_S):
            return
    if parameters.dhcp_wait_s:
        log.warning("the NIC that booted has no address", mac=parameters.boot_mac, waited_s=parameters.dhcp_wait_s)


def is_meant(nic: Nic, parameters: Parameters) -> bool:
    """Whether its address is waited for: the NIC that booted, or each with a cable in it."""
    return nic.mac == parameters.boot_mac or (parameters.dhcp_all and known(nic.carrier) is True)


def lldp(host: Host, parameters: Parameters) -> Body:
    """What switches say: on every NIC with a carrier, [] where nothing was heard."""
    plugged = [nic for nic in nics(host) if known(nic.carrier)]
    names = [nic.name for nic in plugged]
    stop_firmware_lldp(host, plugged)
    heard = host.lldp(names, parameters.lldp_timeout_s) if names else {}
    return {"lldp_raw": {name: raw(name, heard.get(name, b"")) for name in names}}


def raw(name: str, unit: bytes) -> RawTlvs:
    """[type, value in hexadecimal]; a unit that is damaged is as if it had not been heard."""
    try:
        return [(one.kind, one.value.hex()) for one in tlvs(unit)]
    except AgentError as failure:
        log.warning("a switch's announcement is damaged", nic=name, error=str(failure))
        return []


def pci(host: Host, parameters: Parameters) -> Body:
    """PCI functions; the node is a text, as in sysfs."""
    devices = [
        {
            "vendor_id": one.vendor,
            "product_id": one.product,
            "class": one.device_class,
            "revision": one.revision,
            "bus": one.address,
            "numa_node_id": None if one.numa_node is None else str(one.numa_node),
        }
        for one in pci_devices(host.files)
    ]
    return {"pci_devices": devices}


def usb(host: Host, parameters: Parameters) -> Body:
    """USB devices; the handle is lshw's."""
    devices = [
        {"product": one.product, "vendor": one.vendor, "handle": f"USB:{one.bus}:{one.number}"}
        for one in usb_devices(host.files)
    ]
    return {"usb_devices": devices}


def numa(host: Host, parameters: Parameters) -> Body:
    """NUMA nodes; nothing of a kernel without."""
    found = numa_topology(host.files)
    if found is None:
        return {}
    topology = {
        "ram": [{"numa_node": one.number, "size_kb": one.memory_kib} for one in found.nodes],
        "cpus": [
            {"cpu": one.number, "numa_node": one.node, "thread_siblings": list(one.threads)} for one in found.cores
        ],
        "nics": [{"name": one.name, "numa_node": one.node} for one in found.nics],
    }
    return {"numa_topology": topology}


def dmidecode(host: Host, parameters: Parameters) -> Body:
    """SMBIOS in dmidecode's words."""
    return {"dmi": dmi(smbios.structures(host.files.read_bytes(smbios.TABLES)))}


def extra(host: Host, parameters: Parameters) -> Body:
    """hardware-detect's lists of four."""
    return {"data": extra_hardware(take(host))}


def logs(host: Host) -> Body:
    """A tar.gz in base64."""
    return {LOGS: base64.b64encode(bundle(host, LOGS_BYTES)).decode()}


COLLECTORS: Mapping[str, Callable[[Host, Parameters], Body]] = {
    "lldp": lldp,
    "pci-devices": pci,
    "dmi-decode": dmidecode,
    "numa-topology": numa,
    "usb-devices": usb,
    "extra-hardware": extra,
}
"""Those that run beside the default one; `logs` comes after them all."""
KNOWN = (DEFAULT, LOGS, *COLLECTORS)
