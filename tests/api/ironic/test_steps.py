# SPDX-License-Identifier: Apache-2.0
"""Steps on a fake machine with disks: what Ironic asks for is on them afterwards, or its error says why not."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from agent.api.ironic.commands import outcome_of
from agent.api.ironic.record import Order, Record
from agent.api.ironic.table import table
from agent.api.ironic.translate import access
from agent.api.ironic.work import Site, Work
from agent.errors import AgentError
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine, Page
from agent.model.config_drive import offset_bytes
from agent.model.image import ImageFormat, ImagePolicy
from tests.api.ironic.asked import DRIVE, ISO, VERSIONS, node, write_image
from tests.api.ironic.served import BOOT, DIRECTORY, NODE, Agent, identity, serving
from tests.apply.disks import MIB, boots, disk_of, gpt_image, machine, serve

DISK = 160 * MIB
IMAGE = gpt_image()


def done(agent: Agent, command: str, params: dict[str, Any]) -> dict[str, Any]:
    """A step, once it has ended."""
    return agent.ended(agent.post(command, params)["id"])


def config_drive(made: Machine) -> bytes:
    """What is where it belongs."""
    return disk_of(made).durable.read(offset_bytes(DISK), len(ISO))


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("packed", [ImageFormat.RAW, ImageFormat.QCOW2])
def test_write_image(tmp_path: Path, packed: ImageFormat, *, told: bool) -> None:
    """Image and config drive are on the disk, whether or not Ironic told the format; the result has the step's two
    names, and no secret (T11).
    """
    made = machine(DISK, DISK)
    params = write_image(serve(made, IMAGE, packed))
    params["step"]["args"]["image_info"]["disk_format"] = packed.value if told else None
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "deploy.execute_deploy_step", params)

    assert ended["command_status"] == "SUCCEEDED", ended["command_error"]
    assert ended["command_name"] == "execute_deploy_step"
    assert ended["command_result"]["deploy_step"] == {"interface": "deploy", "step": "write_image"}
    assert ended["command_result"]["deploy_result"].startswith("write_image: ")
    assert disk_of(made).durable.read(MIB, MIB) == IMAGE[MIB : 2 * MIB]
    assert boots(disk_of(made))
    assert config_drive(made) == ISO
    assert not boots(disk_of(made, "/dev/sdb"))
    assert made.power_orders == []


def test_what_ironic_asks_after_writing(tmp_path: Path) -> None:
    """The disk's number, flushed, and, where a BIOS booted this machine, nothing for the firmware."""
    made = machine(DISK, DISK)
    with serving(FakeHost.of(made), tmp_path) as agent:
        done(agent, "deploy.execute_deploy_step", write_image(serve(made, IMAGE)))
        uuids = agent.post("standby.get_partition_uuids", wait=True)
        loader = done(agent, "image.install_bootloader", {"root_uuid": "0x0", "target_boot_mode": "bios"})

    assert uuids["command_result"] == {"root uuid": f"0x{int.from_bytes(IMAGE[440:444], 'little'):08x}"}
    assert loader["command_status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"os_hash_value": "ab" * 32}, "IMAGE.DIGEST_MISMATCH"),
        ({"os_hash_algo": "md5", "os_hash_value": "ab" * 16}, "os_hash_algo 'md5'; checked are sha256 and sha512"),
        ({"os_hash_value": None, "checksum": "ab" * 16}, "only an MD5 or SHA-1 checksum is given"),
        ({"os_hash_value": None}, "reading the image's checksum: there is none"),
        ({"urls": ["http://images.example/gone"]}, "IMAGE.UNAVAILABLE"),
        ({"urls": ["file:///etc/shadow"]}, "file:///etc/shadow is a file of this machine"),
        ({"urls": []}, "urls is empty"),
        ({"urls": ["ftp://x/y"]}, "INPUT.INVALID"),
        ({"disk_format": "vmdk"}, "disk_format 'vmdk'; written are raw, gpt, qcow2"),
        ({"image_type": "partition", "deploy_boot_mode": "bios"}, "CVE-2026-43003"),
    ],
)
def test_images_that_are_not_written(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    """The step fails with the reason, and the disk does not boot."""
    made = machine(DISK)
    params = write_image(serve(made, IMAGE))
    params["step"]["args"]["image_info"] |= changes
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "deploy.execute_deploy_step", params)

    assert ended["command_status"] == "FAILED"
    assert told in ended["command_error"]["details"]
    assert not boots(disk_of(made))


def test_a_drive_that_is_no_text(tmp_path: Path) -> None:
    """A machine without its config drive would be no success."""
    made = machine(DISK)
    params = write_image(serve(made, IMAGE))
    params["step"]["args"]["configdrive"] = {"meta_data": {"name": "x"}}
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "deploy.execute_deploy_step", params)

    assert "configdrive is no text" in ended["command_error"]["details"]
    assert not any(disk_of(made).durable.read(0, DISK))


@pytest.mark.parametrize("drive", ["!", "AAAA====A", "H4sIAAAA", "H4sI" + "A" * 400])
def test_drives_that_cannot_be_read(tmp_path: Path, drive: str) -> None:
    """What is no filesystem is found out before anything is written."""
    made = machine(DISK)
    params = write_image(serve(made, IMAGE))
    params["step"]["args"]["configdrive"] = drive
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "deploy.execute_deploy_step", params)

    if drive != "AAAA====A":
        assert ended["command_error"]["type"] == "INPUT.UNDECODABLE"
    assert ended["command_status"] == "FAILED"
    assert not any(disk_of(made).durable.read(0, DISK))


def test_a_drive_behind_a_url(tmp_path: Path) -> None:
    """It is fetched, and placed; one that is not there fails the step before anything is written."""
    made = machine(DISK)
    params = write_image(serve(made, IMAGE))
    params["step"]["args"]["configdrive"] = "http://images.example/drive?signature=s3cret"
    with serving(FakeHost.of(made), tmp_path) as agent:
        missing = done(agent, "deploy.execute_deploy_step", params)
        untouched = not any(disk_of(made).durable.read(0, DISK))
        made.web["http://images.example/drive?signature=s3cret"] = Page(DRIVE.encode())
        placed = done(agent, "deploy.execute_deploy_step", params)

    assert (missing["command_status"], untouched) == ("FAILED", True)
    assert "s3cret" not in missing["command_error"]["details"]
    assert placed["command_status"] == "SUCCEEDED"
    assert config_drive(made) == ISO


def test_iso_on_large_sectors(tmp_path: Path) -> None:
    """A drive that nobody could read on this disk is refused before the first write."""
    made = machine(DISK, sector_bytes=4096)
    image = serve(made, gpt_image(sector_bytes=4096))
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "deploy.execute_deploy_step", write_image(image))

    assert ended["command_error"]["type"] == "IMAGE.SECTOR_SIZE"
    assert "ISO 9660" in ended["command_error"]["details"]


def test_hints_of_the_instance_come_first(tmp_path: Path) -> None:
    """As operators know it from Ironic; and a disk that is to be skipped is never written to."""
    made = machine(DISK, DISK, DISK)
    asked = write_image(serve(made, IMAGE))
    asked["node"] = node(
        instance_info={"root_device": {"name": "s== /dev/sda"}},
        properties={"root_device": {"serial": "S1"}, "skip_block_devices": [{"serial": "S0"}]},
    )
    with serving(FakeHost.of(made), tmp_path) as agent:
        refused = done(agent, "deploy.execute_deploy_step", asked)
        asked["node"]["properties"]["skip_block_devices"] = []
        done(agent, "deploy.execute_deploy_step", asked)

    assert refused["command_error"]["type"] == "DISK.NONE_MATCHES"
    assert [boots(disk_of(made, f"/dev/sd{end}")) for end in "abc"] == [True, False, False]


@pytest.mark.parametrize("name", ["erase_devices", "erase_devices_metadata", "erase_devices_express"])
def test_erasing(tmp_path: Path, name: str) -> None:
    """Every disk is erased but those to be skipped."""
    made = machine(DISK, DISK)
    for path in ("/dev/sda", "/dev/sdb"):
        disk_of(made, path).write(0, IMAGE)
    params = {
        "step": {"interface": "deploy", "step": name, "priority": 10},
        "node": node(properties={"skip_block_devices": [{"serial": "S1"}]}),
        "clean_version": VERSIONS,
    }
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "clean.execute_clean_step", params)

    assert ended["command_status"] == "SUCCEEDED", ended["command_error"]
    assert ended["command_result"]["clean_step"] == {"interface": "deploy", "step": name}
    assert not boots(disk_of(made))
    assert disk_of(made, "/dev/sdb").read(0, MIB) == IMAGE[:MIB]


def cleaning(step: str = "erase_devices_metadata", **changes: Any) -> dict[str, Any]:
    """The parameters of a clean step."""
    return {"step": {"interface": "deploy", "step": step}, "node": node(**changes)}


def with_fact(made: Machine, name: str, fact: str, value: str) -> None:
    """A disk of another kind."""
    made.tree.put(f"/sys/block/{name}/{fact}", f"{value}\n".encode())


@pytest.mark.parametrize("step", ["erase_devices", "erase_devices_metadata"])
def test_no_disk_is_passed_over_in_silence(tmp_path: Path, step: str) -> None:
    """One that a tenant may have written to, and that is not erased, fails the step unless the operator said so: else
    the next tenant would read it.
    """
    made = machine(DISK, DISK)
    with_fact(made, "sdb", "removable", "1")
    with serving(FakeHost.of(made), tmp_path) as agent:
        refused = done(agent, "clean.execute_clean_step", cleaning(step))
        told = cleaning(step, properties={"skip_block_devices": [{"serial": "S1"}]})
        erased = done(agent, "clean.execute_clean_step", told)

    assert refused["command_error"]["type"] == "DISK.SELECTION"
    assert "/dev/sdb" in refused["command_error"]["details"]
    assert erased["command_status"] == "SUCCEEDED", erased["command_error"]


def test_read_only_disks(tmp_path: Path) -> None:
    """They fail no cleaning of metadata, and are reported; erasing fails unless Ironic says that they may be left."""
    made = machine(DISK, DISK)
    with_fact(made, "sdb", "ro", "1")
    leave = {"driver_internal_info": {"agent_erase_skip_read_only": True}}
    with serving(FakeHost.of(made), tmp_path) as agent:
        metadata = done(agent, "clean.execute_clean_step", cleaning())
        refused = done(agent, "clean.execute_clean_step", cleaning("erase_devices"))
        erased = done(agent, "clean.execute_clean_step", cleaning("erase_devices", **leave))

    assert "skipped S1 read-only" in metadata["command_result"]["clean_result"]
    assert refused["command_error"]["type"] == "DISK.READ_ONLY"
    assert erased["command_status"] == "SUCCEEDED", erased["command_error"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"driver_internal_info": {"agent_erase_devices_iterations": 3}}, "3: disks are overwritten once"),
    ],
)
def test_what_erasing_cannot_do(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    """Settings that ask for more are not met by less."""
    made = machine(DISK)
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "clean.execute_clean_step", cleaning("erase_devices", **changes))

    assert told in ended["command_error"]["details"]


def test_boot_entries_that_cannot_be(tmp_path: Path) -> None:
    """Where Ironic wants UEFI and a BIOS booted, that is an error, not a success."""
    with serving(FakeHost.of(machine(DISK)), tmp_path) as agent:
        ended = done(agent, "image.install_bootloader", {"target_boot_mode": "uefi"})

    assert "this machine was booted by a BIOS" in ended["command_error"]["details"]


@pytest.mark.parametrize(
    ("without", "proxy"),
    [("", "http://proxy:1"), ("other", "http://proxy:1"), ("images.example", None), (" x, .example", None)],
)
def test_proxies(without: str, proxy: str | None) -> None:
    """Not for hosts that are to be asked without."""
    info = {"urls": ["http://images.example/i"], "proxies": {"http": "http://proxy:1"}, "no_proxy": without}

    assert access(info).proxy == proxy


def test_a_skip_list_that_names_nothing(tmp_path: Path) -> None:
    """It is refused by every step that would go by it: nobody knows which disk was meant."""
    made = machine(DISK)
    params = {
        "step": {"interface": "deploy", "step": "erase_devices_metadata"},
        "node": node(properties={"skip_block_devices": [{}]}),
    }
    with serving(FakeHost.of(made), tmp_path) as agent:
        erased = done(agent, "clean.execute_clean_step", params)
        selected = done(agent, "image.install_bootloader", {})

    for one in (erased, selected):
        assert "an entry without hints names no disk" in one["command_error"]["details"]


def test_of_another_node(tmp_path: Path) -> None:
    """An order that names another node is refused, and nothing is touched."""
    made = machine(DISK)
    params = write_image(serve(made, IMAGE), node=node(uuid="another"))
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "deploy.execute_deploy_step", params)

    assert ended["command_error"]["type"] == "INPUT.WRONG_NODE"
    assert not any(disk_of(made).durable.read(0, DISK))


def work_on(host: FakeHost) -> Work:
    """A process, without its server."""
    record = Record(host.files, DIRECTORY, BOOT)
    if record.held is None:
        record.open(identity(), NODE)
    site = Site(host=host, record=record, logs=bytes, rescue=lambda _: None, over=lambda _: None)
    return Work(site, DIRECTORY, BOOT, ImagePolicy())


def attempted(host: FakeHost, params: dict[str, Any]) -> str | None:
    """The status of a deploy step; None if the process died, or could not say."""
    try:
        order = Order(id="command-1", name="deploy.execute_deploy_step", params=params)
        return outcome_of(table(work_on(host))[order.name], order).status.value
    except (AgentError, Died):
        return None


@pytest.mark.parametrize("effect", Effect)
def test_every_fault(effect: Effect) -> None:
    """Whichever call fails or is the last one: the step, gone on with under its id, ends with the right bytes or with
    an error; and as long as it has not succeeded the disk does not boot (T2), unless it is gone, and was whole then.
    """
    clean = machine(DISK)
    counted = FakeHost.of(clean)
    assert attempted(counted, write_image(serve(clean, IMAGE))) == "SUCCEEDED"
    calls = len(counted.faults.calls)
    for at in range(1, calls, max(1, calls // 60)):
        made = machine(DISK)
        params = write_image(serve(made, IMAGE))
        status = attempted(FakeHost.of(made, FaultPlan(at=at, effect=effect)), params)
        if status is None:
            assert not boots(disk_of(made)) or config_drive(made) == ISO
            status = attempted(FakeHost.of(made), params)
        if status == "SUCCEEDED":
            assert disk_of(made).durable.read(MIB, MIB) == IMAGE[MIB : 2 * MIB]
            assert config_drive(made) == ISO
        else:
            assert not boots(disk_of(made)) or (effect is Effect.BREAK and config_drive(made) == ISO)


def test_progress_is_told(tmp_path: Path) -> None:
    """While a step runs, there is something to tell of it, and afterwards nothing."""
    made = machine(DISK)
    work = work_on(FakeHost.of(made))
    seen: list[object] = []
    stop = Event()
    command = table(work)["deploy.execute_deploy_step"]
    advance = made.disk("/dev/sda")
    assert advance is not None
    whole = advance.write

    def write(offset: int, data: bytes) -> None:
        seen.append(work.progress)
        whole(offset, data)

    vars(advance)["write"] = write
    command.run("command-1", write_image(serve(made, IMAGE)))
    stop.set()

    assert {getattr(one, "step", None) for one in seen} >= {"write_image", "seal_disk"}
    assert work.progress is None
