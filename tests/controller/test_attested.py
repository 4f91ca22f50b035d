# SPDX-License-Identifier: Apache-2.0
"""Who plays a ramdisk: a tenant's OS knows its machine's MACs and UUID, and asks and says what it likes. Where there is
a BMC it comes to nothing; where there is none, nothing is called attested."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent.controller.images import NOTHING
from agent.controller.imports.download import Download
from agent.controller.records.job import Reset
from agent.controller.records.node import Power
from agent.host.fetch import RealFetch
from agent.model.image import OPEN
from agent.model.job import JobState
from agent.model.request import EraseRequest
from tests.controller.machine import BMC, Machine, a_key
from tests.controller.world import World
from tests.hostile import serving


@pytest.fixture
def tenant(world: World) -> Machine:
    """An ACTIVE server on a node with a BMC; whoever is root on it plays what follows."""
    return served(world)


def served(world: World) -> Machine:
    """The same in any world."""
    machine = Machine(world, key=a_key()).power_on()
    world.user("PATCH", f"/v1/nodes/{machine.node_id}", {"bmc": BMC})
    world.order()
    world.look()
    machine.power_on().serve()
    assert world.server()["status"] == "ACTIVE"
    world.power.told.clear()
    return machine


def impostor(machine: Machine, number: int | None = None) -> Machine:
    """The same machine by all that its OS can read, with a key of its own."""
    return Machine(machine.world, number or machine.number, boot_id="made-up", key=a_key(), uuid=machine.uuid)


def token_in(script: str) -> str | None:
    """What a boot script gives."""
    return script.partition("bms.token=")[2].split()[0] if "bms.token=" in script else None


def code(machine: Machine) -> str:
    """What its enrolment is refused with."""
    answer = machine.send("/v1/agent/enroll", machine.enrolment())
    return str(answer.json()["fault"]["code"])


def deleted(world: World) -> None:
    """The server's end is ordered."""
    world.user("DELETE", "/v1/servers/web")


def erasures(world: World, machine: Machine) -> Any:
    """What is certified of the node."""
    return world.user("GET", f"/v1/nodes/{machine.node_id}/erasures")["erasures"]


def test_an_os_gets_no_token_before_its_bmc_has_ended_it(world: World, tenant: Machine) -> None:
    """However often it asks: before the delete, after it, and while the BMC tries."""
    assert token_in(tenant.script()) is None
    deleted(world)
    assert token_in(tenant.script()) is None
    world.power.hangs = True
    world.look()
    assert token_in(tenant.script()) is None
    assert world.power.told[-1] is Reset.FORCE_OFF
    world.power.hangs = False
    world.look(1)

    assert world.power.told[-2:] == [Reset.FORCE_OFF, Reset.ON]
    assert token_in(tenant.script()) is not None


def test_a_url_of_an_image_is_no_firmware(world: World, tenant: Machine, tmp_path: Path) -> None:
    """A tenant's image may be anywhere, also where a machine's firmware asks: a ramdisk that is to write it, or a
    controller that is to import it, takes nobody's boot away by that.
    """
    deleted(world)
    world.look()
    with serving(b"image") as server:
        with RealFetch()(server.url) as body:
            assert body.fill(memoryview(bytearray(5))) == 5
        Download(server.url, OPEN, NOTHING, lambda *_: None).to(tmp_path / "image")
        for told in server.told:
            asked = {"User-Agent": told["User-Agent"]}
            answer = world.http.get("/boot/ipxe", params={"mac": tenant.mac}, headers=asked)
            assert (answer.status_code, answer.json()["fault"]["code"]) == (403, "AUTH.FORBIDDEN")
        assert len(server.told) == 2

    assert token_in(tenant.script()) is not None


def test_a_made_up_mac_opens_nothing(world: World, tenant: Machine) -> None:
    """Its token is of no boot that was ordered: whoever shows it with the machine's UUID and MAC is refused, before the
    BMC has done its work and after it."""
    player = impostor(tenant)
    found = world.http.get("/boot/ipxe", params={"mac": "52:54:00:00:02:01"}).text
    stranger = world.http.get("/boot/ipxe", params={"mac": "02:00:00:00:00:99"}).text
    assert token_in(found) is None
    deleted(world)
    nics = player.inventory.nics
    assert isinstance(nics, tuple)
    more = nics[0].model_copy(update={"name": "eno9", "mac": "02:00:00:00:00:99"})
    for _ in range(2):
        token = token_in(stranger)
        assert token is not None
        message = player.enrolment()
        inventory = message.inventory.model_copy(update={"nics": (*nics, more)})
        answer = player.send(
            "/v1/agent/enroll", message.model_copy(update={"token": SecretStr(token), "inventory": inventory})
        )
        assert (answer.status_code, answer.json()["fault"]["code"]) == (409, "BOOT.UNORDERED")
        world.look()
    assert world.node()["clean"] is False


def test_the_first_who_asks_is_the_only_one(world: World, tenant: Machine) -> None:
    """One boot, one token; who has it may ask again with it, for its script did not load everything."""
    deleted(world)
    world.look()
    token = token_in(tenant.script())
    assert token is not None
    assert token_in(tenant.script()) is None

    again = world.http.get("/boot/ipxe", params={"mac": tenant.mac, "again": token}).text
    assert token_in(again) == token and f"again={token}" in again
    assert token_in(world.http.get("/boot/ipxe", params={"mac": tenant.mac, "again": "x"}).text) is None
    tenant.boot_id, tenant.token = "next", token
    tenant.enrol()
    assert token_in(world.http.get("/boot/ipxe", params={"mac": tenant.mac, "again": token}).text) is None


def test_an_erasure_by_the_controllers_own_boot_is_attested(world: World, tenant: Machine) -> None:
    """The certificate's entry and the node say so."""
    deleted(world)
    world.look()
    tenant.key = a_key()
    tenant.power_on()
    assert world.node()["boot"] == "attested"
    tenant.serve()

    assert world.node()["state"] == "available" and world.node()["attested"] is True
    assert [(one["boot"], one["attested"]) for one in erasures(world, tenant)] == [("attested", True)]
    assert world.power.from_network == 2


def test_a_bmc_that_chooses_no_boot_device_attests_nothing(world: World, tenant: Machine) -> None:
    """The tenant may have put the disk first: the node is erased, and it is said that nobody knows by whom."""
    world.power.stubborn = True
    deleted(world)
    world.look()
    tenant.power_on().serve()

    assert world.node()["state"] == "available" and world.node()["attested"] is False
    assert erasures(world, tenant)[0]["boot"] == "ordered"


def test_without_a_bmc_nothing_is_attested(world: World, server: Machine) -> None:
    """The node goes back, as it is the operator's policy, and it is said what that is worth."""
    deleted(world)
    server.serve().serve()

    assert world.node()["state"] == "available"
    assert (world.node()["attested"], erasures(world, server)[0]["boot"]) == (False, "own")


def test_an_os_that_runs_plays_no_ramdisk_beside_itself(world: World, server: Machine) -> None:
    """Without a BMC it is at least to fall silent, or to say that it reboots, before a token is given or taken."""
    player = impostor(server)
    player.token = token_in(world.http.get("/boot/ipxe", params={"mac": "52:54:00:00:02:99"}).text) or ""
    deleted(world)
    world.clock.move(10)
    assert token_in(player.script()) is None
    assert world.node()["fault"] is None
    world.clock.move(10)
    server.beat()
    assert world.node()["fault"]["code"] == "BOOT.UNORDERED"
    assert token_in(player.script()) is None
    world.clock.move(80)
    assert token_in(player.script()) is not None


@pytest.fixture
def strict(made: Callable[..., World]) -> World:
    """A controller that puts nothing back that is not attested."""
    return made(require_attested=True)


def test_by_policy_only_attested_nodes_are_put_back(strict: World) -> None:
    """The erasure of another is an error, which says what to do; a BMC cures it."""
    machine = Machine(strict, key=a_key()).power_on()
    clean = f"/v1/nodes/{machine.node_id}/clean"
    strict.user("POST", clean)
    machine.serve()
    assert (strict.node()["state"], strict.node()["clean"]) == ("error", False)
    assert strict.node()["fault"]["code"] == "BMS.ERASE_UNATTESTED"
    strict.user("PATCH", f"/v1/nodes/{machine.node_id}", {"bmc": BMC})
    strict.user("POST", clean)
    strict.look(10)
    machine.power_on().serve()

    assert (strict.node()["state"], strict.node()["clean"], strict.node()["attested"]) == ("available", True, True)


def test_a_silent_node_is_nobodys_for_its_mac(world: World, tenant: Machine) -> None:
    """An available node with a BMC that has fallen silent: another machine with its UUID and MAC is taken in, and is
    given no order; the node's own machine is booted for that."""
    deleted(world)
    world.look()
    tenant.power_on().serve()
    world.clock.move(3600)
    player = impostor(tenant).power_on()
    assert player.desired().request is None
    world.order("second")
    assert player.desired().request is None
    world.look()
    assert player.send("/v1/agent/heartbeat", player.heartbeat(9)).status_code == 401
    tenant.power_on().serve()

    assert world.server("second")["status"] == "ACTIVE"


def test_a_machine_that_starts_by_itself_is_booted_soon(world: World, tenant: Machine) -> None:
    """In the middle of an erasure: its firmware waits, and its BMC boots it, not hours later."""
    deleted(world)
    world.look()
    tenant.power_on()
    request = tenant.desired().request
    assert isinstance(request, EraseRequest)
    tenant.report(request, JobState.RUNNING, "erase_disks")
    world.clock.move(30)
    assert token_in(tenant.script()) is None
    world.power.told.clear()
    world.look(40)
    assert world.power.told == []
    world.look(10)
    assert world.power.told == [Reset.FORCE_OFF, Reset.ON]
    tenant.power_on().serve()

    assert world.node()["attested"] is True


def test_who_asks_while_the_os_runs_is_told_of(world: World, tenant: Machine) -> None:
    """An OS that restarts asks too; one that was never away did not, whoever it was."""
    tenant.script()
    tenant.power_on().beat()
    assert world.node()["fault"] is None
    world.clock.move(60)
    tenant.script()
    world.clock.move(3)
    tenant.beat()
    assert world.node()["fault"] is None
    world.clock.move(30)
    tenant.beat()

    assert world.node()["fault"]["code"] == "BOOT.UNORDERED"


def test_an_agent_that_is_started_again_stays_who_it_is(world: World, tenant: Machine) -> None:
    """In the same boot, with the same token and key."""
    deleted(world)
    world.look()
    tenant.power_on().enrol()

    assert world.node()["boot"] == "attested"
    tenant.serve()
    assert world.node()["attested"] is True


def test_an_operators_token_comes_by_the_boot_that_was_ordered(world: World, tenant: Machine) -> None:
    """Where the operator's own script boots the machine: once after its BMC has switched it on, and it attests
    nothing."""
    token = world.user("POST", "/v1/enrolment-tokens", {}, status=201)["token"]
    deleted(world)
    tenant.key, tenant.boot_id, tenant.token = a_key(), "one", token
    assert code(tenant) == "BOOT.UNORDERED"
    world.look()
    tenant.enrol().enrol()
    tenant.boot_id = "two"
    assert code(tenant) == "BOOT.UNORDERED"
    tenant.boot_id = "one"
    tenant.enrol().serve()

    assert erasures(world, tenant)[0]["boot"] == "ordered"


def test_a_controller_that_dies_between_off_and_on_goes_on(tmp_path: Path) -> None:
    """What its BMC was to be told is told then; nothing is attested twice."""
    world = World(tmp_path)
    world.stock()
    machine = served(world)
    deleted(world)
    world.look()
    world.power.power = Power.OFF
    with world.controller.write() as tx:
        [job] = [job for job in tx.jobs.all() if not job.status.final]
        tx.jobs.change(job, power_wanted=Reset.FORCE_RESTART, power_at=None)
    world.restart()
    world.look()
    machine.power_on().serve()

    assert world.node()["attested"] is True
    world.close()


def test_an_os_that_starts_instead_gets_no_token(world: World, tenant: Machine) -> None:
    """The boot from the network failed, and the firmware went on to the disk: the boot's token is nobody's, and its BMC
    boots the machine again."""
    deleted(world)
    world.look()
    tenant.boot_id = "from the disk"
    tenant.prove()
    assert token_in(tenant.script()) is None
    world.power.told.clear()
    for _ in range(100):
        world.look(60)
        if world.power.told:
            break

    assert world.power.told == [Reset.FORCE_OFF, Reset.ON]
    tenant.power_on().serve()
    assert world.node()["attested"] is True


def test_an_order_has_an_end(world: World, tenant: Machine) -> None:
    """A boot from the network that has not come in half an hour is none any more: whoever asks then gets no token, is
    told of, and the BMC boots the machine again; that boot is the one."""
    deleted(world)
    world.look()
    world.clock.move(1801)
    late = impostor(tenant)
    late.token = world.user("POST", "/v1/enrolment-tokens", {}, status=201)["token"]
    assert code(late) == "BOOT.UNORDERED"
    assert token_in(tenant.script()) is None
    told = len(world.power.told)
    world.look(80)
    assert world.power.told[told:][-1:] == [Reset.ON]

    assert token_in(tenant.script()) is not None
