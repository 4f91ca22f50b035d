# SPDX-License-Identifier: Apache-2.0
"""Steps beside deploying and erasing: injected files, burn-in, pstore; and all lists, against those of IPA."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from agent.api.ironic.burn_in import burn_in_request
from agent.api.ironic.inject import inject_request
from agent.api.ironic.steps import STEPS, Asked, Kind, known, listed
from agent.api.ironic.translate import erase_request
from agent.apply.inject import PLACE
from agent.errors import InputError
from agent.host.fake import FakeHost
from agent.model.burn_in import CpuLoad, DiskLoad, GpuLoad, MemoryLoad, NetworkLoad, Part
from agent.model.ironic.wire import MASTER, Node
from tests.api.ironic.asked import VERSIONS, node
from tests.api.ironic.served import serving
from tests.api.ironic.test_steps import DISK, done
from tests.apply.disks import MIB, disk_of, machine

IPA: dict[Kind, dict[str, tuple[int, bool, frozenset[str]]]] = {
    "clean": {
        "deploy.erase_devices": (10, True, frozenset()),
        "deploy.erase_devices_metadata": (99, True, frozenset()),
        "deploy.erase_devices_express": (0, True, frozenset()),
        "deploy.erase_pstore": (0, True, frozenset()),
        "deploy.clean_uefi_nvram": (0, True, frozenset({"match_patterns"})),
        "raid.delete_configuration": (0, True, frozenset()),
        "raid.create_configuration": (0, True, frozenset()),
        "deploy.burnin_cpu": (0, True, frozenset()),
        "deploy.burnin_gpu": (0, True, frozenset()),
        "deploy.burnin_disk": (0, True, frozenset()),
        "deploy.burnin_memory": (0, True, frozenset()),
        "deploy.burnin_network": (0, True, frozenset()),
    },
    "deploy": {
        "deploy.erase_devices_metadata": (0, False, frozenset()),
        "raid.apply_configuration": (0, False, frozenset({"raid_config", "delete_existing"})),
        "deploy.clean_uefi_nvram": (0, False, frozenset({"match_patterns"})),
        "deploy.write_image": (0, False, frozenset()),
        "deploy.inject_files": (0, False, frozenset({"files", "verify_ca"})),
        "deploy.execute_bootc_install": (0, False, frozenset()),
    },
    "service": {
        "raid.delete_configuration": (0, True, frozenset()),
        "raid.apply_configuration": (0, False, frozenset({"raid_config", "delete_existing"})),
        "raid.create_configuration": (0, True, frozenset()),
        "deploy.burnin_cpu": (0, True, frozenset()),
        "deploy.burnin_gpu": (0, True, frozenset()),
        "deploy.burnin_memory": (0, True, frozenset()),
        "deploy.burnin_network": (0, True, frozenset()),
        "deploy.write_image": (0, False, frozenset()),
        "deploy.inject_files": (0, False, frozenset({"files", "verify_ca"})),
        "deploy.execute_bootc_install": (0, False, frozenset()),
    },
}
"""ironic-python-agent 13, hardware.py: priority, abortable, arguments; those of write_image Ironic knows itself."""


OWN = {"deploy.validate_hardware"}


def ours(kind: Kind) -> dict[str, tuple[int, bool, frozenset[str]]]:
    """The list, in the same words."""
    return {
        f"{one['interface']}.{one['step']}": (
            one["priority"],
            one.get("abortable", False),
            frozenset(one.get("argsinfo", {})) - {"image_info", "configdrive"},
        )
        for one in listed(kind)[MASTER]
    }


@pytest.mark.parametrize("kind", list(IPA))
def test_the_lists_are_ipas(kind: Kind) -> None:
    """Names, interfaces, priorities, what can be aborted, arguments: but for bootc, which is refused with a reason, and
    for what IPA does not have.
    """
    found = {name: row for name, row in ours(kind).items() if name not in OWN}
    assert found == {name: row for name, row in IPA[kind].items() if name != "deploy.execute_bootc_install"}
    assert OWN.isdisjoint(IPA[kind]) and (ours(kind).keys() >= OWN) == (kind != "deploy")


def test_what_is_refused_says_why() -> None:
    """An operator reads what to do instead."""
    with pytest.raises(InputError, match="nothing of an image is run") as caught:
        known("deploy", "deploy", "execute_bootc_install")

    assert "bootc-image-builder" in str(caught.value.hint)
    for name, why in (
        ("generic_container_step", "no container runtime"),
        ("container_clean_step", "no container runtime"),
        ("update_nvidia_nic_firmware_image", "NVIDIA's own tools"),
        ("update_nvidia_nic_firmware_settings", "NVIDIA's own tools"),
    ):
        with pytest.raises(InputError, match=why) as caught:
            known("clean", "deploy", name)
        assert "ironic-python-agent" in str(caught.value.hint)
    with pytest.raises(InputError, match=r"there is no such step; there are .*deploy\.erase_pstore"):
        known("clean", "deploy", "update_nic_firmware")


def test_injecting_by_itself() -> None:
    """With the priority of this boot; in service it is never done by itself."""
    assert {one["step"]: one["priority"] for one in listed("deploy", 42)[MASTER]}["inject_files"] == 42


def of(**changes: Any) -> Node:
    """The node."""
    return Node.model_validate(node(**changes))


NAMED = {"node": {"uuid": "u-1", "extra": {"a": {"b": 5}}}, "ports": [{"address": "52:54:00:00:00:01"}]}
FILE = {"path": "/etc/motd", "content": "aGk="}


def injected(*files: object, **args: object) -> Any:
    """The request."""
    return inject_request("r", of(), {"files": list(files), **args}, NAMED)


def test_files_of_node_and_step() -> None:
    """Those of the node come first; the disk is the one that the image went to."""
    own = of(properties={"inject_files": [FILE | {"path": "/etc/first"}], "root_device": {"serial": "S0"}})
    request = inject_request("r", own, {"files": [FILE | {"mode": 0o600, "owner": "app"}]}, NAMED)

    assert [one.path for one in request.files] == ["/etc/first", "/etc/motd"]
    assert (request.files[1].mode, request.files[1].owner) == (0o600, "app")
    assert inject_request("r", of(), {}, NAMED).files == ()


def test_urls_name_fields() -> None:
    """Of node and ports, as IPA's do; nothing of Python's, and nothing that is not there."""
    url = "https://keys.example/{node[uuid]}/{ports[0][address]}/{node[extra][a][b]}"
    (one,) = injected(FILE | {"content": url}).files

    assert one.url.get_secret_value() == "https://keys.example/u-1/52:54:00:00:00:01/5"
    for wrong in (
        "{node.__class__}",
        "{node[uuid].__class__}",
        "{node[extra]}",
        "{ports[7][address]}",
        "{node[nothing]}",
        "{args[0]}",
        "{",
    ):
        with pytest.raises(InputError, match="its URL"):
            injected(FILE | {"content": f"https://keys.example/{wrong}"})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (FILE | {"content": "file:///etc/shadow"}, "neither http:// nor https://"),
        (FILE | {"content": "ftp://x/y"}, "neither http:// nor https://"),
        (FILE | {"mode": "0644"}, "mode must be a number"),
        (FILE | {"mode": True}, "mode must be a number"),
        (FILE | {"mode": 0o4755}, "set-user-id"),
        (FILE | {"path": "/etc/../../x"}, "does not stay below"),
        (FILE | {"deleted": True}, "not two of them"),
        (FILE | {"unknown": 1}, "unknown"),
        ({"path": "/etc/x"}, "needs content"),
        ({"content": "aGk="}, "path"),
        ("text", "no list of objects"),
    ],
)
def test_files_that_are_refused(wrong: object, told: str) -> None:
    """With the file that it is, and without its content."""
    with pytest.raises(InputError, match=told) as caught:
        injected(wrong)

    assert "aGk=" not in str(caught.value)


def test_certificates_are_verified() -> None:
    """Who wants them not to be is told; without a URL it means nothing."""
    with pytest.raises(InputError, match="every certificate is verified"):
        injected(FILE | {"content": "https://x/y"}, verify_ca=False)
    assert len(injected(FILE, verify_ca=False).files) == 1


def burning(part: Part, **info: object) -> Any:
    """The load, by settings of that step."""
    (load,) = burn_in_request("r", of(driver_info=info), part, guards=True).loads
    return load


def test_settings_of_burn_in() -> None:
    """IPA's names and defaults, in the units of stress-ng and fio."""
    assert burning("cpu") == CpuLoad(seconds=86400, workers=0)
    assert burning("cpu", agent_burnin_cpu_timeout="2h", agent_burnin_cpu_cpu="4") == CpuLoad(seconds=7200, workers=4)
    assert burning("memory") == MemoryLoad(seconds=86400, percent=98)
    memory = burning("memory", **{"agent_burnin_vm_vm-bytes": "2g", "agent_burnin_vm_timeout": 60})
    assert (memory.size_bytes, memory.percent, memory.seconds) == (2 * 1024**3, None, 60)
    assert burning("memory", **{"agent_burnin_vm_vm-bytes": "50%"}).percent == 50
    assert burning("disk") == DiskLoad(loops=4, seconds=0)
    assert burning("disk", agent_burnin_fio_disk_runtime=90).seconds == 90
    pair = {"role": "reader", "partner": "192.0.2.7"}
    network = burning("network", agent_burnin_fio_network_config=pair, agent_burnin_fio_network_runtime="10m")
    assert network == NetworkLoad(role="reader", partner="192.0.2.7", seconds=600)
    assert burning("gpu", agent_burnin_gpu_memory=90, agent_burnin_gpu_count=2) == GpuLoad(memory="90", count=2)


@pytest.mark.parametrize(
    ("part", "info", "told"),
    [
        ("cpu", {"agent_burnin_cpu_timeout": "soon"}, "agent_burnin_cpu_timeout"),
        ("cpu", {"agent_burnin_cpu_timeout": 0}, "seconds"),
        ("cpu", {"agent_burnin_cpu_cpu": 1.5}, "no whole number"),
        ("cpu", {"agent_burnin_cpu_outputfile": "relative"}, "output"),
        ("memory", {"agent_burnin_vm_vm-bytes": "200%"}, "percent"),
        ("memory", {"agent_burnin_vm_vm-bytes": "9 lives"}, "vm-bytes"),
        ("disk", {"agent_burnin_fio_disk_smart_test": True}, "long tests are not started"),
        ("network", {}, "there is none"),
        ("network", {"agent_burnin_fio_network_pairing_backend_url": "zookeeper://x"}, "dynamic pairing"),
        ("network", {"agent_burnin_fio_network_config": {"role": "both", "partner": "x"}}, "role"),
        ("network", {"agent_burnin_fio_network_config": {"role": "writer", "partner": "x; rm"}}, "partner"),
    ],
)
def test_settings_that_cannot_be_met(part: Part, info: dict[str, Any], told: str) -> None:
    """They are named; nothing is done by half of them."""
    with pytest.raises(InputError, match=told):
        burning(part, **info)


@pytest.mark.parametrize(
    ("changes", "guards", "allowed"),
    [
        ({}, True, False),
        ({}, False, True),
        ({"driver_internal_info": {"wipe_special_filesystems": True}}, True, True),
        ({"driver_internal_info": {"wipe_special_filesystems": "False"}}, True, False),
    ],
)
def test_who_allows_the_loss_of_shared_disks(changes: dict[str, Any], *, guards: bool, allowed: bool) -> None:
    """The node, or the parameter of this boot; every step that destroys goes by it."""
    assert erase_request("r", of(**changes), "metadata", guards=guards).shared_too is allowed
    assert burn_in_request("r", of(**changes), "disk", guards=guards).shared_too is allowed
    assert inject_request("r", of(**changes), {}, {}, guards=guards).shared_too is allowed
    asked = Asked("r", of(**changes), {}, guards=guards)
    assert STEPS["deploy.inject_files"].request(asked).shared_too is allowed  # type: ignore[union-attr]


@pytest.mark.parametrize(("told", "at_once"), [(None, 4), (1, 1), (7, 7), (0, 4), ("x", 4), (10**9, 1024)])
def test_disks_at_once(told: object, at_once: int) -> None:
    """As Ironic's option says."""
    given = {} if told is None else {"disk_erasure_concurrency": told}

    assert erase_request("r", of(driver_internal_info=given), "zero").at_once == at_once


def stepping(step: str, **changes: Any) -> dict[str, Any]:
    """The parameters of a clean step."""
    return {"step": {"interface": "deploy", "step": step}, "node": node(**changes), "clean_version": VERSIONS}


def test_disks_are_burnt_in(tmp_path: Path) -> None:
    """Written and compared, all but those to be skipped, which keep every byte; figures are in the answer."""
    made = machine(8 * MIB, 8 * MIB)
    disk_of(made, "/dev/sdb").write(0, b"precious")
    asked = stepping(
        "burnin_disk",
        driver_info={"agent_burnin_fio_disk_loops": 2},
        properties={"skip_block_devices": [{"serial": "S1"}]},
    )
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "clean.execute_clean_step", asked)

    assert ended["command_status"] == "SUCCEEDED", ended["command_error"]
    assert "disk passed" in ended["command_result"]["clean_result"]
    assert "disk S0 2 loops" in ended["command_result"]["clean_result"]
    assert "skipped S1" in ended["command_result"]["clean_result"]
    assert any(disk_of(made).durable.read(0, MIB)) and disk_of(made, "/dev/sdb").read(0, 8) == b"precious"


def test_the_pstore_is_erased(tmp_path: Path) -> None:
    """By its step."""
    made = machine(DISK)
    made.tree.put("/proc/mounts", b"pstore /sys/fs/pstore pstore rw 0 0\n")
    made.tree.put("/sys/fs/pstore/dmesg-1", b"panic")
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "clean.execute_clean_step", stepping("erase_pstore"))

    assert ended["command_result"]["clean_result"] == "erase_pstore: pstore records erased 1"


def test_a_file_is_injected(tmp_path: Path) -> None:
    """By the step, into the disk that the image is on; without one Ironic's step does nothing, and succeeds."""
    made = machine(DISK)
    made.tree.put("/sys/block/sda/sda1/partition", b"1\n")
    made.tree.put("/sys/block/sda/sda1/start", b"2048\n")
    made.tree.put("/sys/block/sda/sda1/size", b"2048\n")
    made.record.udev["sda1"] = {"DEVTYPE": "partition", "USEC_INITIALIZED": "1", "ID_FS_TYPE": "ext4"}
    made.tree.put(f"{PLACE}/etc/passwd", b"app:x:7:7::/:\n")
    made.programs |= dict.fromkeys(("mount", "umount", "sync"), made.programs["modprobe"])
    step = {"interface": "deploy", "step": "inject_files"}
    content = base64.b64encode(b"hello").decode()
    files = {"files": [{"path": "/etc/motd", "content": content, "mode": 0o600, "owner": "app"}]}
    with serving(FakeHost.of(made), tmp_path) as agent:
        nothing = done(agent, "deploy.execute_deploy_step", {"step": step, "node": node()})
        ended = done(agent, "deploy.execute_deploy_step", {"step": step | {"args": files}, "node": node()})

    assert nothing["command_status"] == "SUCCEEDED", nothing["command_error"]
    assert ended["command_status"] == "SUCCEEDED", ended["command_error"]
    assert ended["command_result"]["deploy_result"] == "inject_files: /etc/motd written to /dev/sda1"
    assert made.tree.entries[f"{PLACE}/etc/motd"] == b"hello"
    assert made.dresses[f"{PLACE}/etc/motd"] == (0o600, 7, None)
    assert [argv[:5] for argv in made.commands if argv[0] == "mount"] == [
        ("mount", "-t", "ext4", "-o", "rw,nosuid,nodev,noexec,errors=remount-ro")
    ]
