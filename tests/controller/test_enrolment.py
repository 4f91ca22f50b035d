# SPDX-License-Identifier: Apache-2.0
"""Taking machines in: who may, who is who, and what a token is good for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

import pytest
from httpx2 import Response

from agent.controller.options import Options
from agent.model.disk import Content
from agent.model.fact import Unknown
from agent.model.request import DeployRequest
from tests.controller.machine import Machine, a_key, disk
from tests.controller.world import URL, World


def refusal(answer: Response) -> tuple[int, str]:
    """Status and code."""
    return answer.status_code, answer.json()["fault"]["code"]


def enrol_raw(machine: Machine, **changes: object) -> Response:
    """Enrol, and see what comes."""
    return machine.send("/v1/agent/enroll", machine.enrolment().model_copy(update=changes))


def in_the_ramdisk(world: World, number: int = 1) -> Machine:
    """A machine that has its script and has not enrolled yet."""
    machine = Machine(world, number, boot_id=f"boot-{number}")
    machine.token = machine.script().partition("bms.token=")[2].split()[0]
    return machine


def test_the_script_names_controller_token_and_mac(world: World) -> None:
    """A machine that nobody knows is sent into the ramdisk with all that its agent needs."""
    script = Machine(world).script()

    assert script.startswith("#!ipxe\n")
    assert f"kernel {URL}/boot/ramdisk/vmlinuz initrd=initrd bms.controller={URL} bms.token=" in script
    assert "bms.boot_mac=52:54:00:00:01:01 console=tty0 console=ttyS0,115200 panic=10" in script
    assert f"initrd --name initrd {URL}/boot/ramdisk/initrd" in script


def test_the_operators_words_are_on_the_command_line(made: Callable[..., World]) -> None:
    """`--kernel-options`: whose signatures a ramdisk asks for, where it looks for images, a shell."""
    words = "bms.image_keys=AAAA,BBBB bms.require_signature=1 bms.shell"
    script = Machine(made(kernel_options=words)).script()

    [line] = [line for line in script.splitlines() if line.startswith("kernel ")]
    assert f" {words} " in f"{line} "


def test_every_boot_is_given_its_own_token(world: World) -> None:
    """Two requests, two tokens."""
    machine = Machine(world)

    assert machine.script() != machine.script()


def test_a_lost_answer_is_given_again(world: World) -> None:
    """The same message twice gives the same answer, and one node."""
    machine = in_the_ramdisk(world)
    message = machine.enrolment()
    first, second = machine.send("/v1/agent/enroll", message), machine.send("/v1/agent/enroll", message)

    assert first.status_code == 200
    assert first.json() == second.json()
    assert len(world.user("GET", "/v1/nodes")) == 1


def test_an_agent_that_was_started_again_enrols_again(world: World) -> None:
    """Another run of the agent in the same boot may use the token, and speaks for the node from then on."""
    machine = in_the_ramdisk(world).enrol()
    machine.enrol()

    assert machine.beat().current


def test_a_token_is_good_for_one_boot(world: World) -> None:
    """A second boot of the same machine needs another one."""
    machine = in_the_ramdisk(world).enrol()
    machine.boot_id = "the next boot"

    assert refusal(enrol_raw(machine)) == (403, "ENROLL.TOKEN_REFUSED")


def test_a_token_is_good_for_one_machine(world: World) -> None:
    """Another machine that has read it gets nothing, before its use (by MAC) and after (by identity)."""
    machine, thief = in_the_ramdisk(world), in_the_ramdisk(world, 2)
    thief.token = machine.token

    assert refusal(enrol_raw(thief)) == (403, "ENROLL.TOKEN_REFUSED")
    machine.enrol()
    machine.uuid = "4c4c4544-0000-4000-8000-0000000000ff"
    assert refusal(enrol_raw(machine)) == (403, "ENROLL.TOKEN_REFUSED")


def test_a_token_expires(world: World) -> None:
    """Unused for an hour it is worth nothing; a boot that used it in time may go on."""
    late, early = in_the_ramdisk(world), in_the_ramdisk(world, 2).enrol()
    world.clock.move(3601)

    assert refusal(enrol_raw(late)) == (403, "ENROLL.TOKEN_REFUSED")
    assert enrol_raw(early).status_code == 200


@pytest.mark.parametrize("token", [None, "made-up"])
def test_without_a_token_nobody_is_taken_in(world: World, token: str | None) -> None:
    """No token or one that was never given out is refused."""
    machine = in_the_ramdisk(world)
    message = machine.enrolment().model_dump(mode="json") | {"token": token}

    assert refusal(world.http.post("/v1/agent/enroll", json=message)) == (403, "ENROLL.TOKEN_REFUSED")


def test_a_machine_without_nics_is_refused(world: World) -> None:
    """If the NICs could not be read, nothing says that the token is this machine's."""
    machine = in_the_ramdisk(world)
    dark = machine.inventory.model_copy(update={"nics": Unknown(unknown="netlink failed")})

    assert refusal(enrol_raw(machine, inventory=dark)) == (403, "ENROLL.TOKEN_REFUSED")


def test_a_machine_is_known_again(world: World) -> None:
    """The next boot is the same node, with what it is made of now."""
    machine = in_the_ramdisk(world).enrol()
    machine.disks = (disk("sda"), disk("sdb"), disk("sdc"))
    machine.power_on()

    (node,) = world.user("GET", "/v1/nodes")
    assert len(world.node(node["id"])["inventory"]["disks"]) == 3


@pytest.mark.parametrize("uuid", ["00000000-0000-0000-0000-000000000000", "03000200-0400-0500-0006-000700080009"])
def test_a_worthless_uuid_identifies_nobody(world: World, uuid: str) -> None:
    """Boards that all have the same UUID are told apart by their MACs."""
    for number in (1, 2):
        machine = in_the_ramdisk(world, number)
        machine.uuid = uuid
        machine.enrol()

    assert len(world.user("GET", "/v1/nodes")) == 2


def test_a_doubled_uuid_makes_two_nodes(world: World) -> None:
    """Two machines that claim one sane UUID and share no MAC are two."""
    for number in (1, 2):
        machine = in_the_ramdisk(world, number)
        machine.uuid = "4c4c4544-0000-4000-8000-00000000abcd"
        machine.enrol()

    assert len({node["name"] for node in world.user("GET", "/v1/nodes")}) == 2


def test_a_new_mainboard_is_the_same_node(world: World, machine: Machine) -> None:
    """A known NIC in a machine with another UUID: the node keeps its name."""
    machine.uuid = "4c4c4544-0000-4000-8000-0000000000ee"
    machine.power_on()

    (node,) = world.user("GET", "/v1/nodes")
    assert world.node(node["id"])["identity"] == "smbios:4c4c4544-0000-4000-8000-0000000000ee"


def test_by_hand_a_new_mainboard_is_approved_anew(made: Callable[..., World]) -> None:
    """Whoever shows the MAC of a node that was approved, and is another machine by its UUID, is nobody until an
    operator has compared its fingerprint; nor does it count as erased."""
    world = made(enrolment="manual")
    machine = Machine(world, key=a_key()).power_on()
    node_id, first = machine.node_id, machine.key
    assert first is not None
    approve = f"/v1/nodes/{node_id}/approve"
    world.user("POST", approve, {"fingerprint": first.fingerprint})
    world.user("POST", f"/v1/nodes/{node_id}/clean")
    machine.serve()
    assert (world.node()["state"], world.node()["clean"]) == ("available", True)

    stranger = Machine(world, key=a_key(), uuid="4c4c4544-0000-4000-8000-0000000000dd").power_on()
    assert stranger.node_id == node_id and stranger.key is not None
    assert (world.node()["state"], world.node()["clean"]) == ("enroll", False)
    assert world.refused("POST", approve, {"fingerprint": first.fingerprint})[1] == "ENROLL.FINGERPRINT"
    assert world.user("POST", approve, {"fingerprint": stranger.key.fingerprint})["state"] == "available"


def test_by_hand_a_new_mainboard_waits_for_the_job(made: Callable[..., World]) -> None:
    """While a node is cleaned, nobody becomes it by a MAC; an operator may say that it is the same machine."""
    world = made(enrolment="manual")
    machine = Machine(world, key=a_key()).power_on()
    assert machine.key is not None
    world.user("POST", f"/v1/nodes/{machine.node_id}/approve", {"fingerprint": machine.key.fingerprint})
    world.user("POST", f"/v1/nodes/{machine.node_id}/clean")
    stranger = in_the_ramdisk(world)
    stranger.key, stranger.uuid = a_key(), "4c4c4544-0000-4000-8000-0000000000dd"

    assert refusal(enrol_raw(stranger)) == (409, "ENROLL.REFUSED")
    assert world.node()["state"] == "cleaning"
    world.user("PATCH", f"/v1/nodes/{machine.node_id}", {"identity": f"smbios:{stranger.uuid}"})
    assert enrol_raw(stranger).status_code == 200


def test_nobody_becomes_a_node_with_a_server(world: World, server: Machine) -> None:
    """A machine that shows the NIC of a node with a server, and is another, is refused."""
    world.user("POST", "/v1/servers/web/reinstall")
    world.clock.move(80)  # its OS has fallen silent
    stranger = Machine(world, 1, boot_id="b", uuid="4c4c4544-0000-4000-8000-0000000000dd")
    stranger.token = stranger.script().partition("bms.token=")[2].split()[0]

    assert refusal(enrol_raw(stranger)) == (409, "ENROLL.REFUSED")


def test_a_machine_that_boots_its_disk_gets_no_token(world: World, server: Machine) -> None:
    """While its server is ACTIVE, nobody can fetch a token in its name."""
    script = server.script()

    assert "bms.token" not in script
    assert "sanboot --no-describe --drive 0x80" in script
    assert "iseq ${platform} efi && goto firmware" in script


def test_an_old_token_opens_nothing_later(world: World, machine: Machine) -> None:
    """A fresh token kept from before is refused once the machine is to boot its disk."""
    kept = machine.script().partition("bms.token=")[2].split()[0]
    world.order()
    machine.serve()
    thief = Machine(world, 1, boot_id="another", token=kept)

    assert refusal(enrol_raw(thief)) == (409, "ENROLL.REFUSED")


def test_by_hand_a_node_waits_for_approval(made: Callable[..., World]) -> None:
    """With manual enrolment a node gets no server before an operator has approved it, by the fingerprint that both
    screens show; any other is refused, and none is not enough."""
    world = made(enrolment="manual")
    machine = Machine(world, key=a_key()).power_on()
    assert machine.key is not None
    approve = f"/v1/nodes/{world.node()['id']}/approve"

    assert (world.node()["state"], world.node()["fingerprint"]) == ("enroll", machine.key.fingerprint)
    order = {"name": "web", "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}]}
    assert "state: must be available, node is enroll" in world.refused("POST", "/v1/servers", order)[2]
    assert world.refused("POST", approve)[1] == "BMS.0018"
    assert world.refused("POST", approve, {"fingerprint": a_key().fingerprint})[1] == "ENROLL.FINGERPRINT"
    assert world.node()["state"] == "enroll"
    assert world.user("POST", approve, {"fingerprint": machine.key.fingerprint}, status=200)["state"] == "available"
    assert world.refused("POST", approve, {"fingerprint": machine.key.fingerprint})[1] == "BMS.STATE"
    world.user("POST", "/v1/servers", order, status=202)


def test_by_hand_is_how_a_controller_is_run_unless_it_is_told(tmp_path: Path) -> None:
    """Whatever boots from it is not trusted by itself."""
    assert Options(data=tmp_path).enrolment == "manual"


def test_an_agent_without_a_key_is_not_approved(made: Callable[..., World]) -> None:
    """There is nothing that an operator could compare."""
    world = made(enrolment="manual")
    machine = in_the_ramdisk(world)

    assert refusal(enrol_raw(machine)) == (409, "ENROLL.REFUSED")
    assert world.user("GET", "/v1/nodes") == []


def test_data_is_not_overwritten_unasked(world: World) -> None:
    """A node whose disk holds data gets no server until an operator has it cleaned; then it does."""
    machine = Machine(world, disks=(disk("sda", 40, Content(node="/dev/sda", kind="gpt")),)).power_on()
    order = {"name": "web", "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}]}
    assert "data: sda (serial SN-sda) holds gpt" in world.refused("POST", "/v1/servers", order)[2]

    job = world.user("POST", f"/v1/nodes/{machine.node_id}/clean", status=202)
    assert world.node()["state"] == "cleaning"
    machine.serve()

    assert world.job(job["job_id"])["status"] == "SUCCESS"
    assert (world.node()["state"], world.node()["clean"], world.node()["held"]) == ("available", True, [])
    world.user("POST", "/v1/servers", order, status=202)


def test_a_disk_that_was_put_in_later_is_not_clean(world: World, machine: Machine) -> None:
    """A node that was erased is believed until its ramdisk finds data again."""
    world.user("POST", f"/v1/nodes/{machine.node_id}/clean")
    machine.serve()
    machine.power_on()
    assert world.node()["clean"]

    machine.disks = (disk("sda"), disk("sdb", 80, Content(node="/dev/sdb", kind="ext4")))
    machine.power_on()
    assert (world.node()["clean"], world.node()["held"]) == (False, ["sdb (serial SN-sdb) holds ext4"])


@pytest.mark.parametrize("mac", ["", "nonsense", "52:54:00:00:01:0g", "52:54:00:00:01:01 bms.shell"])
def test_what_is_no_mac_gets_no_script(world: World, mac: str) -> None:
    """Nothing else than a MAC reaches a kernel command line."""
    assert refusal(world.http.get("/boot/ipxe", params={"mac": mac})) == (400, "BMS.0018")


def test_a_hostile_host_header_gets_no_script(world: World) -> None:
    """Without --url the address that was called goes into the script; one that could carry options does not."""
    world.options = world.options.model_copy(update={"url": None})
    world.restart()
    answers = [
        world.http.get("/boot/ipxe?mac=52:54:00:00:01:01", headers={"Host": host})
        for host in ("10.0.0.5:8480", "evil$(id)")
    ]

    assert "bms.controller=http://10.0.0.5:8480 " in answers[0].text
    assert refusal(answers[1]) == (400, "BMS.0018")


def test_agents_call_over_tls(made: Callable[..., World]) -> None:
    """The script sends them there and says whom to trust; firmware, and what is large, stays in the clear. So does what
    the config drive says to our service."""
    world = made(listen_tls="0.0.0.0:8481")
    machine = Machine(world, key=a_key()).power_on()
    world.peer = PEM_cert_to_DER_cert(machine.certificate_of_node())
    world.order()
    request = machine.desired().request
    authority = world.controller.authority
    assert authority is not None
    assert isinstance(request, DeployRequest)
    machine.write(request)

    assert f"bms.controller=https://controller.example:8481 bms.ca={authority.pin} bms.token=" in machine.script()
    assert f"kernel {URL}/boot/ramdisk/vmlinuz" in machine.script()
    assert world.http.get("/boot/ca.pem").text == authority.pem
    assert (machine.identity().controller_url, machine.identity().ca) == (
        "https://controller.example:8481",
        authority.pin,
    )


def test_without_tls_nobody_is_told_of_it(world: World, machine: Machine) -> None:
    """Neither agents of earlier releases, which would not understand it, nor whoever asks for the authority."""
    world.order()
    request = machine.desired().request
    assert isinstance(request, DeployRequest)
    machine.write(request)

    assert machine.drive is not None
    assert '"ca"' not in machine.drive["bms-agent/service.json"]
    assert "bms.ca" not in machine.script()
    assert refusal(world.http.get("/boot/ca.pem")) == (404, "BMS.NOT_FOUND")
