# SPDX-License-Identifier: Apache-2.0
"""What people type and read: every noun, every verb, and errors with their exit status."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path

import pytest
import zstandard
from typer.testing import CliRunner

from agent.bmsctl import app
from agent.bmsctl.client import JobFailed, Refused, exit_status_of
from agent.model.fault import Fault
from tests.bmsctl.keyboard import Keyboard
from tests.controller.machine import Machine
from tests.controller.world import KEY, SHA256, World

SERVER = ("server", "create", "web", "--flavor", "small", "--image", "debian", "--subnet", "net", "--key", "me")
RAW = bytes(2**20)


@pytest.fixture
def machine(world: World) -> Machine:
    """A machine in its ramdisk, available."""
    return Machine(world).power_on()


def test_nodes(bmsctl: Keyboard, machine: Machine) -> None:
    """The list has a line a node, and one of them is shown with all that it is made of."""
    machine.beat()
    listed, shown = bmsctl("node", "list").output, bmsctl("node", "show", "node-525400000101").output

    assert "node-525400000101" in listed
    assert "available" in listed
    for word in ("BOX1", "x86_64", "4 cores", "4.0 GiB", "SN-sda", "40.0 GB", "ssd", "nothing", machine.mac):
        assert word in shown


def test_bundles_of_a_node(bmsctl: Keyboard, machine: Machine, tmp_path: Path) -> None:
    """They are listed, and the newest, or the one that is named, is fetched."""
    packed = [gzip.compress(text) for text in (b"old", b"new")]
    names = []
    for body in packed:
        machine.world.clock.move(60)
        answer = machine.world.http.post("/v1/agent/bundles", content=body, headers=machine.authorization)
        names.append(answer.json()["name"])
    listed = bmsctl("node", "bundle", "list", "node-525400000101").output
    newest = bmsctl("node", "bundle", "get", "node-525400000101", "--to", str(tmp_path / "newest"))
    oldest = bmsctl("node", "bundle", "get", "node-525400000101", names[0], "--to", str(tmp_path / "oldest"))

    assert all(name in listed for name in names)
    assert newest.status == oldest.status == 0
    assert [(tmp_path / name).read_bytes() for name in ("oldest", "newest")] == packed
    assert bmsctl("node", "bundle", "get", "node-525400000101", "nothing").status != 0
    assert bmsctl("node", "bundle", "get", "node-525400000101", "--to", str(tmp_path / "no" / "where")).status == 2
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("create", "noun", "shown"),
    [
        (("flavor", "create", "big", "--cores", "64", "--disk-media", "ssd"), "flavor", "64"),
        (("vpc", "create", "other", "--cidr", "192.168.0.0/16"), "vpc", "192.168.0.0/16"),
        (
            ("subnet", "create", "more", "--vpc", "cloud", "--cidr", "10.8.0.0/24", "--dns", "9.9.9.9"),
            "subnet",
            "9.9.9.9",
        ),
        (("image", "create", "far", "--url", "http://i/a.raw.zst", "--sha256", SHA256), "image", SHA256[:12]),
    ],
)
def test_nouns(bmsctl: Keyboard, create: tuple[str, ...], noun: str, shown: str) -> None:
    """What is created is listed and shown; what is deleted is not there any more."""
    name = create[2]
    assert bmsctl(*create).status == 0
    assert shown in bmsctl(noun, "list").output
    assert shown in bmsctl(noun, "show", name).output
    assert name in {one["name"] for one in bmsctl(noun, "list", "--json").json}
    assert bmsctl(noun, "delete", name).status == 0

    assert bmsctl(noun, "show", name).status == 2


def test_keypairs(bmsctl: Keyboard, tmp_path: Path) -> None:
    """A public key is read from its file."""
    path = tmp_path / "id.pub"
    path.write_text(KEY)

    assert "SHA256:" in bmsctl("keypair", "create", "mine", "--public-key", str(path)).output
    assert "mine" in bmsctl("keypair", "list").output
    missing = bmsctl("keypair", "create", "mine", "--public-key", str(tmp_path / "none"))
    assert (missing.status, "CONFIG.INVALID" in missing.error) == (2, True)


def test_an_image_file_is_uploaded(bmsctl: Keyboard, tmp_path: Path) -> None:
    """What image.json beside it says need not be said again; its name says the format."""
    file = tmp_path / "d.raw.zst"
    file.write_bytes(zstandard.ZstdCompressor().compress(RAW))
    sidecar = {
        "name": "debian-trixie",
        "sha256": {"d.raw.zst": hashlib.sha256(file.read_bytes()).hexdigest()},
        "min_disk_gb": 3,
        "firmware": ["uefi", "bios"],
        "agent": True,
    }
    (tmp_path / "image.json").write_text(json.dumps(sidecar))
    image = bmsctl("image", "create", "d", "--file", str(file), "--json").json

    assert (image["format"], image["min_disk_gb"], image["firmware"], image["agent"]) == ("raw.zst", 3, "both", True)
    assert image["size_bytes"] == len(RAW)


@pytest.mark.parametrize("firmware", [["uefi"], ["bios"]])
def test_an_image_for_one_firmware(bmsctl: Keyboard, tmp_path: Path, firmware: list[str]) -> None:
    """Its only mode is said."""
    (tmp_path / "d.raw").write_bytes(RAW)
    digest = hashlib.sha256(RAW).hexdigest()
    (tmp_path / "image.json").write_text(json.dumps({"sha256": {"d.raw": digest}, "firmware": firmware}))

    assert bmsctl("image", "create", "d", "--file", str(tmp_path / "d.raw"), "--json").json["firmware"] == firmware[0]


def test_a_damaged_image_file_is_refused(bmsctl: Keyboard, tmp_path: Path) -> None:
    """Another digest than announced: the image's exit status."""
    (tmp_path / "d.raw").write_bytes(RAW)
    typed = bmsctl("image", "create", "d", "--file", str(tmp_path / "d.raw"), "--sha256", SHA256)

    assert typed.status == 5
    assert typed.error.startswith("IMAGE.DIGEST_MISMATCH: keeping an image: its SHA-256 is ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("image", "create", "i"), "either --file or --url"),
        (("image", "create", "i", "--file", "a.raw", "--url", "http://i/a.raw"), "either --file or --url"),
        (("image", "create", "i", "--url", "http://i/a.iso"), "the ending of http://i/a.iso"),
        (("image", "create", "i", "--file", "/no/such.raw"), "no such file"),
        ((*SERVER, "--root-device", "colour=red"), "colour is no hint"),
        ((*SERVER, "--metadata", "novalue"), "novalue is not KEY=VALUE"),
        ((*SERVER, "--user-data", "/no/such"), "reading the user data"),
        (("node", "bmc", "n", "--address", "x"), "are all needed"),
    ],
)
def test_what_is_typed_wrong(bmsctl: Keyboard, words: tuple[str, ...], said: str) -> None:
    """Status 2, and what is wrong, before anything is sent."""
    typed = bmsctl(*words)

    assert typed.status == 2
    assert said in typed.error


def test_a_server_is_ordered_and_shown(bmsctl: Keyboard, machine: Machine, tmp_path: Path) -> None:
    """With everything that can be said; then listed, shown, and followed by its job."""
    (tmp_path / "user").write_text("#cloud-config\n")
    words = ("--user-data", str(tmp_path / "user"), "--root-device", "size_gb=>= 70", "--metadata", "role=front")
    typed = bmsctl(*SERVER[:8], "net=10.1.0.77", *words)
    assert typed.status == 0
    job_id = typed.output.split()[-1]
    machine.serve()

    assert machine.drive is not None
    assert machine.drive["openstack/latest/user_data"] == "#cloud-config\n"
    assert "ACTIVE" in bmsctl("server", "list").output
    shown = bmsctl("server", "show", "web").output
    for word in ("ACTIVE", "10.1.0.77", "agent", "role=front", "SN-sdb"):
        assert word in shown
    assert bmsctl("job", "show", job_id, "--json").json["status"] == "SUCCESS"
    assert "write_image" in bmsctl("job", "show", job_id).output


def test_why_no_node_fits(bmsctl: Keyboard, machine: Machine) -> None:
    """Every node and every field is said, and the status is that of a wrong request."""
    bmsctl("flavor", "create", "huge", "--cores", "64", "--ram-mb", "65536")
    typed = bmsctl(*SERVER[:4], "huge", *SERVER[5:])

    assert typed.status == 2
    assert "cores: flavor wants 64, node has 4; ram_mb: flavor wants 65536, node has 4096" in typed.error
    assert "to do:" in typed.error


def test_operating_a_server(bmsctl: Keyboard, world: World, machine: Machine) -> None:
    """Reboot, reinstall, stop, start, delete: each is a job, and refusals have their code."""
    bmsctl(*SERVER)
    machine.serve()
    for what in ("reboot", "reinstall"):
        assert f"{what} of server web: job " in bmsctl("server", what, "web").output
        machine.serve()
    machine.serve()
    assert "BMS.0038" in bmsctl("server", "start", "web").error
    assert "BMS.NO_POWER_CONTROL" in bmsctl("server", "stop", "web", "--hard").error
    bmsctl("server", "stop", "web")
    machine.serve()
    world.look(30)
    bmsctl("server", "start", "web")
    machine.power_on()
    bmsctl("server", "delete", "web")
    machine.serve().serve()

    assert bmsctl("server", "list", "--json").json == []
    assert [one["status"] for one in bmsctl("server", "list", "--deleted", "--json").json] == ["DELETED"]


def test_operating_a_node(bmsctl: Keyboard, machine: Machine, tmp_path: Path) -> None:
    """Maintenance, a BMC whose password is in a file, cleaning; approving what needs no approval is refused."""
    (tmp_path / "password").write_text("swordfish\n")
    address = "https://10.0.0.9/redfish/v1/Systems/1"
    name = "node-525400000101"

    assert "begun" in bmsctl("node", "maintenance", name).output
    assert "MAINTENANCE" in bmsctl("node", "list").output
    assert "over" in bmsctl("node", "maintenance", name, "--off").output
    bmc = ("--address", address, "--username", "admin", "--password-file", str(tmp_path / "password"))
    assert address in bmsctl("node", "bmc", name, *bmc).output
    assert "swordfish" not in bmsctl("node", "show", name, "--json").output
    assert "forgotten" in bmsctl("node", "bmc", name, "--forget").output
    assert "BMS.STATE" in bmsctl("node", "approve", name).error
    assert "generation 77" in bmsctl("node", "generation", name, "77").output
    assert "is box now" in bmsctl("node", "rename", name, "box").output
    assert "is node-525400000101 now" in bmsctl("node", "rename", "box", name).output
    assert "job" in bmsctl("node", "clean", name).output
    machine.serve()
    assert bmsctl("node", "show", name, "--json").json["clean"]


def test_without_the_token(world: World) -> None:
    """It is said where the token is."""
    typed = Keyboard(world, token="wrong")("node", "list")

    assert (typed.status, typed.error.splitlines()[0]) == (
        2,
        "AUTH.REQUIRED: authenticating a user: the token is wrong",
    )
    assert "admin-token" in typed.error


def test_a_token_file_that_is_not_there() -> None:
    """It is an error of the settings."""
    result = CliRunner().invoke(app, ["--token-file", "/no/such", "node", "list"])

    assert "reading the token" in str(result.exception)


def test_a_token_is_no_word_of_a_command() -> None:
    """Whoever lists the processes would read it."""
    result = CliRunner().invoke(app, ["--token", "secret", "node", "list"])

    assert (result.exit_code, "No such option" in result.stderr) == (2, True)


@pytest.mark.parametrize("content", [None, "", "no certificate\n"])
def test_an_authority_that_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    """It is an error of the settings, and nothing is sent."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    result = CliRunner().invoke(app, ["--ca-file", str(file), "node", "list"])

    assert "reading the controller's authority" in str(result.exception)


@pytest.mark.parametrize(
    ("code", "refused", "failed"),
    [
        ("BMS.0021", 2, 1),
        ("BMS.BOOT_UNCONFIRMED", 2, 1),
        ("AUTH.REQUIRED", 2, 1),
        ("INPUT.UNDECODABLE", 2, 2),
        ("DISK.NONE_MATCHES", 3, 3),
        ("DISK.HOLDS_DATA", 4, 4),
        ("IMAGE.TOO_LARGE", 4, 4),
        ("IMAGE.DIGEST_MISMATCH", 5, 5),
        ("HOST.DEVICE_ERROR", 6, 6),
        ("LINK.UNREACHABLE", 7, 7),
    ],
)
def test_exit_statuses(code: str, refused: int, failed: int) -> None:
    """A fault of the agent's has the same exit status here as at the node; the controller's own are refusals (2), or
    failures of what was tried (1)."""
    fault = Fault(code=code, message="doing something")

    assert (exit_status_of(Refused(fault)), exit_status_of(JobFailed(fault))) == (refused, failed)


def test_user_data_travels_in_base64(bmsctl: Keyboard, world: World, machine: Machine, tmp_path: Path) -> None:
    """The limit counts before it."""
    (tmp_path / "user").write_bytes(b"x" * 32769)

    assert "BMS.0210" in bmsctl(*SERVER, "--user-data", str(tmp_path / "user")).error
    assert len(base64.b64encode(b"x" * 32769)) > 32769
