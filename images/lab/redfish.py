# SPDX-License-Identifier: Apache-2.0
"""The resources of a virtual BMC (DMTF DSP0266, DSP2046): documents by their paths, one function each.

As much as the controllers of this project ask for: the machine's power and boot order, its MAC address, and who its
BMC is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from lab.boot_override import BootOverride, Enabled, Target
from lab.firmware import Firmware
from lab.machine import MachineSpec

Document = dict[str, Any]

ROOT = "/redfish/v1"
SYSTEMS = f"{ROOT}/Systems"
MANAGERS = f"{ROOT}/Managers"
MANAGER = f"{MANAGERS}/bmc"
MODES = {Firmware.UEFI: "UEFI", Firmware.BIOS: "Legacy"}


def system_path(spec: MachineSpec) -> str:
    return f"{SYSTEMS}/{spec.name}"


def cd_path(spec: MachineSpec) -> str:
    """The drive in which the BMC puts discs."""
    return f"{MANAGER}/VirtualMedia/Cd"


def insert_path(spec: MachineSpec) -> str:
    return f"{cd_path(spec)}/Actions/VirtualMedia.InsertMedia"


def eject_path(spec: MachineSpec) -> str:
    return f"{cd_path(spec)}/Actions/VirtualMedia.EjectMedia"


def reset_path(spec: MachineSpec) -> str:
    return f"{system_path(spec)}/Actions/ComputerSystem.Reset"


def documents(
    spec: MachineSpec, *, is_on: bool, override: BootOverride, resets: Iterable[str], disc: str | None = None
) -> dict[str, Document]:
    """All that can be read, by path; `disc` is the URL of what is in the virtual drive."""
    system, nics = system_path(spec), f"{system_path(spec)}/EthernetInterfaces"
    found = [
        _root(),
        _collection(SYSTEMS, "ComputerSystem", system),
        _system(spec, is_on=is_on, override=override, resets=list(resets)),
        _collection(nics, "EthernetInterface", f"{nics}/1"),
        _ethernet_interface(f"{nics}/1", spec.mac),
        _collection(MANAGERS, "Manager", MANAGER),
        _manager(system, has_media=spec.virtual_cd),
    ]
    if spec.virtual_cd:
        drive = _drive(spec, disc)
        found += [_collection(f"{MANAGER}/VirtualMedia", "VirtualMedia", drive["@odata.id"]), drive]
    return {document["@odata.id"]: document for document in found}


def _reference(path: str) -> Document:
    return {"@odata.id": path}


def _collection(path: str, kind: str, *members: str) -> Document:
    return {
        **_reference(path),
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "Name": f"{kind} Collection",
        "Members": [_reference(member) for member in members],
        "Members@odata.count": len(members),
    }


def _root() -> Document:
    return {
        **_reference(ROOT),
        "@odata.type": "#ServiceRoot.v1_15_0.ServiceRoot",
        "Id": "RootService",
        "Name": "Root Service",
        "RedfishVersion": "1.15.0",
        "Systems": _reference(SYSTEMS),
        "Managers": _reference(MANAGERS),
    }


def _system(spec: MachineSpec, *, is_on: bool, override: BootOverride, resets: list[str]) -> Document:
    return {
        **_reference(system_path(spec)),
        "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem",
        "Id": spec.name,
        "Name": spec.name,
        "Manufacturer": spec.manufacturer,
        "Model": spec.product,
        "SerialNumber": spec.serial,
        "UUID": spec.uuid,
        "PowerState": "On" if is_on else "Off",
        "Boot": {
            **override.model_dump(mode="json", by_alias=True),
            "BootSourceOverrideEnabled@Redfish.AllowableValues": list(Enabled),
            "BootSourceOverrideTarget@Redfish.AllowableValues": list(Target),
            "BootSourceOverrideMode": MODES[spec.firmware],
        },
        "EthernetInterfaces": _reference(f"{system_path(spec)}/EthernetInterfaces"),
        "Links": {"ManagedBy": [_reference(MANAGER)]},
        "Actions": {
            "#ComputerSystem.Reset": {
                "target": reset_path(spec),
                "ResetType@Redfish.AllowableValues": resets,
            }
        },
    }


def _ethernet_interface(path: str, mac: str) -> Document:
    return {
        **_reference(path),
        "@odata.type": "#EthernetInterface.v1_9_0.EthernetInterface",
        "Id": "1",
        "Name": "NIC 1",
        "MACAddress": mac.upper(),
        "PermanentMACAddress": mac.upper(),
        "Status": {"State": "Enabled", "Health": "OK"},
    }


def _drive(spec: MachineSpec, disc: str | None) -> Document:
    return {
        **_reference(cd_path(spec)),
        "@odata.type": "#VirtualMedia.v1_6_0.VirtualMedia",
        "Id": "Cd",
        "Name": "Virtual CD",
        "MediaTypes": ["CD", "DVD"],
        "Image": disc,
        "Inserted": disc is not None,
        "WriteProtected": True,
        "ConnectedVia": "URI" if disc is not None else "NotConnected",
        "Actions": {
            "#VirtualMedia.InsertMedia": {"target": insert_path(spec)},
            "#VirtualMedia.EjectMedia": {"target": eject_path(spec)},
        },
    }


def _manager(system: str, *, has_media: bool) -> Document:
    """Its clock is this computer's: a controller that compares it finds nothing to set."""
    return {
        **({"VirtualMedia": _reference(f"{MANAGER}/VirtualMedia")} if has_media else {}),
        **_reference(MANAGER),
        "@odata.type": "#Manager.v1_17_0.Manager",
        "Id": "bmc",
        "Name": "Manager",
        "ManagerType": "BMC",
        "DateTime": datetime.now(UTC).isoformat(),
        "DateTimeLocalOffset": "+00:00",
        "Links": {"ManagerForServers": [_reference(system)]},
    }
