# SPDX-License-Identifier: Apache-2.0
"""The Redfish driver: what it asks, what it understands, and that it gives up."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from agent.controller.bmc import BmcError, Redfish
from agent.controller.records.job import Reset
from agent.controller.records.node import Bmc, Power
from tests.controller.redfish import FakeRedfish, redfish

BASIC = "Basic YWRtaW46c3dvcmRmaXNo"
driver = Redfish(pause_s=0.0)


def bmc(server: FakeRedfish) -> Bmc:
    """How to reach it."""
    return Bmc(address=server.address, username="admin", password=SecretStr("swordfish"))


@pytest.mark.parametrize(("state", "power"), [("On", Power.ON), ("Off", Power.OFF), ("PoweringOn", Power.UNKNOWN)])
def test_the_power_state_is_read(state: str, power: Power) -> None:
    """With basic authentication; a state in between is unknown."""
    with redfish((200, {"PowerState": state})) as server:
        assert driver.state(bmc(server)) is power

    assert server.asked == [("GET", "/redfish/v1/Systems/1", BASIC, None)]


@pytest.mark.parametrize("reset", list(Reset))
def test_a_reset_is_posted(reset: Reset) -> None:
    """To the standard's action, with the standard's words."""
    with redfish((204, b"")) as server:
        driver.reset(bmc(server), reset)

    path = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
    assert server.asked == [("POST", path, BASIC, {"ResetType": reset.value})]


def test_off_is_looked_at() -> None:
    """Whatever it answers to the order: until its state says so, or for so many looks."""
    with redfish(
        (200, {"PowerState": "On"}), (204, b""), *[(200, {"PowerState": "On"})] * 2, (200, {"PowerState": "Off"})
    ) as server:
        assert driver.switch_off(bmc(server)) is Power.OFF
    assert [asked[3] for asked in server.asked] == [None, {"ResetType": "ForceOff"}, None, None, None]
    with redfish((200, {"PowerState": "On"})) as server:
        assert driver.switch_off(bmc(server)) is Power.ON
    with redfish((200, {"PowerState": "Off"})) as server:
        assert driver.switch_off(bmc(server)) is Power.OFF
    assert len(server.asked) == 1


def test_the_next_boot_is_from_the_network() -> None:
    """Once, by the standard's words."""
    with redfish((200, {})) as server:
        driver.boot_from_network(bmc(server))

    override = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}}
    assert server.asked[1:] == [("PATCH", "/redfish/v1/Systems/1", BASIC, override)]


def test_a_hiccup_is_got_over() -> None:
    """Two failures, then an answer."""
    with redfish((503, {}), (500, {}), (200, {"PowerState": "On"})) as server:
        assert driver.state(bmc(server)) is Power.ON

    assert len(server.asked) == 3


@pytest.mark.parametrize("answer", [(401, {}), (500, {}), (302, {})])
def test_it_gives_up(answer: tuple[int, object]) -> None:
    """After three tries, with the BMC's own code and without its password."""
    with redfish(answer) as server, pytest.raises(BmcError, match="the BMC answered") as failed:
        driver.reset(bmc(server), Reset.ON)

    assert len(server.asked) == 3
    assert failed.value.code == "BMC.ERROR"
    assert "swordfish" not in str(failed.value)


@pytest.mark.parametrize("body", [{}, [], "On", b"<html>"])
def test_what_is_no_redfish_is_an_error(body: object) -> None:
    """Nothing else leaves than our own error."""
    with redfish((200, body)) as server, pytest.raises(BmcError, match="no PowerState"):
        driver.state(bmc(server))


def test_nobody_there_is_an_error() -> None:
    """A closed port."""
    with redfish((200, {})) as server:
        gone = bmc(server)
    with pytest.raises(BmcError, match="ConnectionError"):
        driver.state(gone)


@pytest.mark.parametrize("address", ["10.0.0.9", "ftp://h/redfish/v1/Systems/1", "https://h/redfish/v1/Systems/1/x"])
def test_an_address_is_a_redfish_system(address: str) -> None:
    """Anything else is refused when it is set."""
    with pytest.raises(ValidationError):
        Bmc(address=address, username="u", password=SecretStr("p"))
