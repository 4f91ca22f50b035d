# SPDX-License-Identifier: Apache-2.0
"""The virtual BMC over real HTTP, in front of a machine that only remembers what was done to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from agent.controller.bmc import Redfish
from agent.controller.records.job import Reset
from agent.controller.records.node import Bmc as Entry
from agent.controller.records.node import Power
from lab.bmc import Bmc
from lab.boot_override import BootOverride, Enabled, Target
from lab.machine import MachineSpec
from tests.lab.fake_machine import FakeMachine
from tests.link.answers import answering

ENTRY = ("admin", "secret")


@pytest.fixture
def machine() -> FakeMachine:
    return FakeMachine()


@pytest.fixture
def system(machine: FakeMachine) -> Iterator[str]:
    """The URL of the system behind a BMC that runs."""
    bmc = Bmc(("127.0.0.1", 0), machine, *ENTRY)
    thread = threading.Thread(target=bmc.serve_forever, kwargs={"poll_interval": 0.01}, name="bmc")
    thread.start()
    yield f"http://127.0.0.1:{bmc.server_address[1]}/redfish/v1/Systems/m1"
    bmc.shutdown()
    thread.join()
    bmc.server_close()


def reset(system: str, kind: str) -> requests.Response:
    """Ask for a reset of this kind."""
    return requests.post(f"{system}/Actions/ComputerSystem.Reset", json={"ResetType": kind}, auth=ENTRY, timeout=5)


def test_the_power_state_follows_the_machine(system: str, machine: FakeMachine) -> None:
    """On and Off are the machine's own state at that moment: a guest that switched itself off shows Off."""
    states = []
    for machine.is_on in (False, True, False):
        states.append(requests.get(system, auth=ENTRY, timeout=5).json()["PowerState"])

    assert states == ["Off", "On", "Off"]


def test_the_controllers_own_driver_boots_it_from_the_network(system: str, machine: FakeMachine) -> None:
    """Off, seen to be off, from the network once, on: as before a ramdisk that is attested."""
    driver, machine.is_on = Redfish(pause_s=0.0), True
    entry = Entry(address=system, username=ENTRY[0], password=SecretStr(ENTRY[1]))

    assert driver.switch_off(entry) is Power.OFF
    driver.boot_from_network(entry)
    assert (machine.boot_override.target, machine.boot_override.enabled) == (Target.NETWORK, Enabled.ONCE)
    driver.reset(entry, Reset.ON)
    assert machine.pressed == ["off", "on"] and driver.state(entry) is Power.ON


@pytest.mark.parametrize(
    ("kind", "was_on", "pressed"),
    [
        ("On", False, ["on"]),
        ("ForceOff", True, ["off"]),
        ("GracefulShutdown", True, ["button"]),
        ("GracefulShutdown", False, []),
        ("ForceRestart", True, ["reset"]),
        ("ForceRestart", False, ["on"]),
        ("PowerCycle", True, ["off", "on"]),
    ],
)
def test_every_reset_does_what_it_says(
    system: str, machine: FakeMachine, kind: str, was_on: bool, pressed: list[str]
) -> None:
    """Each ResetType of the contract moves the machine as Redfish describes it."""
    machine.is_on = was_on

    assert reset(system, kind).status_code == 204
    assert machine.pressed == pressed


def test_an_unknown_reset_is_refused(system: str, machine: FakeMachine) -> None:
    """A ResetType that this machine does not know changes nothing, and the answer lists those that it knows."""
    answer = reset(system, "Nmi")

    assert answer.status_code == 400
    assert "ForceOff" in answer.json()["error"]["message"]
    assert machine.pressed == []


@pytest.mark.parametrize("entry", [None, ("admin", "wrong"), ("root", "secret")])
def test_nobody_enters_without_the_password(system: str, machine: FakeMachine, entry: tuple[str, str] | None) -> None:
    """Neither reading nor switching works without the right user and password."""
    read = requests.get(system, auth=entry, timeout=5)
    switched = requests.post(f"{system}/Actions/ComputerSystem.Reset", json={"ResetType": "On"}, auth=entry, timeout=5)

    assert (read.status_code, switched.status_code, machine.pressed) == (401, 401, [])


def test_another_system_is_not_found(system: str) -> None:
    """A wrong id in the node's BMC address is told, not answered with this machine."""
    assert requests.get(f"{system}0", auth=ENTRY, timeout=5).status_code == 404


def test_a_machine_that_does_not_start_is_told(system: str, machine: FakeMachine) -> None:
    """What QEMU said on failing reaches the caller."""
    machine.broken = True
    answer = reset(system, "On")

    assert answer.status_code == 500
    assert "no such disk" in answer.json()["error"]["message"]


def change(system: str, **fields: str) -> requests.Response:
    """Ask for another boot order."""
    boot = {f"BootSourceOverride{name}": value for name, value in fields.items()}
    return requests.patch(system, json={"Boot": boot}, auth=ENTRY, timeout=5)


def test_a_boot_order_is_taken_and_told(system: str, machine: FakeMachine) -> None:
    """A PATCH of the override reaches the machine, field by field, and is what is read from then on."""
    assert change(system, Enabled="Once", Target="Pxe").status_code == 200
    assert change(system, Target="Hdd").status_code == 200

    boot = requests.get(system, auth=ENTRY, timeout=5).json()["Boot"]
    assert machine.boot_override == BootOverride(enabled=Enabled.ONCE, target=Target.DISK)
    assert (boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"]) == ("Once", "Hdd")


@pytest.mark.parametrize(
    "body",
    [
        {"Boot": {"BootSourceOverrideTarget": "Usb"}},
        {"Boot": {"BootSourceOverrideMode": "Legacy"}},
        {"Boot": {"BootSourceOverrideTarget": "Hdd"}, "AssetTag": "1"},
        {"Boot": "Hdd"},
        [],
    ],
)
def test_a_boot_order_that_cannot_be_is_refused(system: str, machine: FakeMachine, body: object) -> None:
    """A device that is not there, another firmware, anything beside the boot order: 400, and nothing changes."""
    assert requests.patch(system, json=body, auth=ENTRY, timeout=5).status_code == 400
    assert machine.boot_override == BootOverride()


def test_a_restart_obeys_a_new_boot_order(system: str, machine: FakeMachine) -> None:
    """QEMU keeps its boot order over a reset, so that a restart under an override is an off and on."""
    machine.is_on = True
    change(system, Enabled="Once", Target="Hdd")

    assert reset(system, "ForceRestart").status_code == 204
    assert machine.pressed == ["off", "on"]


def test_a_controller_finds_its_way_from_the_root(system: str) -> None:
    """From the service root, which asks for no password, one comes to the system, its MAC address and its BMC."""
    host = system[: system.index("/redfish")]

    def read(path: str) -> dict[str, Any]:
        return dict(requests.get(host + path, auth=ENTRY, timeout=5).json())

    def first(collection: dict[str, str]) -> dict[str, Any]:
        return read(read(collection["@odata.id"])["Members"][0]["@odata.id"])

    root = requests.get(f"{host}/redfish/v1/", timeout=5).json()
    node = first(root["Systems"])
    assert node["Id"] == "m1"
    assert first(node["EthernetInterfaces"])["MACAddress"] == MachineSpec().mac.upper()
    assert node["Links"]["ManagedBy"] == [{"@odata.id": first(root["Managers"])["@odata.id"]}]


def test_virtual_media(system: str, machine: FakeMachine) -> None:
    """A machine with a drive: a disc is fetched and put in by its URL, seen, and taken out; nothing but http is."""
    machine.spec = MachineSpec(name="m1", virtual_cd=True)
    root = system.partition("/redfish")[0]
    manager = requests.get(f"{root}/redfish/v1/Managers/bmc", auth=ENTRY, timeout=5).json()
    (member,) = requests.get(f"{root}{manager['VirtualMedia']['@odata.id']}", auth=ENTRY, timeout=5).json()["Members"]
    drive = f"{root}{member['@odata.id']}"
    actions = requests.get(drive, auth=ENTRY, timeout=5).json()["Actions"]
    insert, eject = (f"{root}{actions[f'#VirtualMedia.{name}Media']['target']}" for name in ("Insert", "Eject"))
    seen = []
    with answering((200, "a disc")) as web:
        requests.post(insert, json={"Image": f"{web.url}/boot.iso"}, auth=ENTRY, timeout=5).raise_for_status()
    seen.append(requests.get(drive, auth=ENTRY, timeout=5).json()["Inserted"])
    refused = requests.post(insert, json={"Image": "file:///etc/passwd"}, auth=ENTRY, timeout=5).status_code
    requests.post(eject, json={}, auth=ENTRY, timeout=5).raise_for_status()
    seen.append(requests.get(drive, auth=ENTRY, timeout=5).json()["Inserted"])

    assert (seen, refused, machine.pressed) == ([True, False], 400, ["insert 6", "eject"])


def test_without_a_drive(system: str) -> None:
    """There is nothing to put a disc into."""
    root = system.partition("/redfish")[0]
    manager = requests.get(f"{root}/redfish/v1/Managers/bmc", auth=ENTRY, timeout=5).json()

    assert "VirtualMedia" not in manager
