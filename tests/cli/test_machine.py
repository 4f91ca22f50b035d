# SPDX-License-Identifier: Apache-2.0
"""`bms-agent --machine`: every command that reads, and every `--plan`, on a recorded machine, which never changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from agent.cli import app
from agent.cli.machine import OF_THIS_MACHINE
from agent.diagnose.capture import capture
from agent.diagnose.seen import items
from agent.errors import AgentError
from agent.host.fake import FakeHost, LinkTo
from agent.host.fake.recorded import recorded
from agent.inventory import take
from agent.program.manual import walk
from tests.inventory import equipped
from tests.machine.recorded import HERE
from tests.machines import parts

GUEST = HERE / "qemu-uefi-numa"
NETWORKD = "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
NETWORK = '{"links": [{"kind": "ethernet", "name": "eno2", "mac": "MAC", "addresses": ["10.0.9.9/24"], "up": true}]}'
ARRAYS = '{"logical_disks": [{"size_gb": 100, "raid_level": "1"}]}'
READS = (
    "inventory", "inventory --json", "inventory --diff {before} --json", "diagnose", "diagnose --json", "status",
    "status --json", "network show", "network show --json", "network show --links", "network show --config",
)  # fmt: skip
PLANS = (
    "image write {image} --format raw --sha256 {digest} --serial {serial}",
    "image capture /dev/disk/by-id/wwn-{wwn} --to {new}",
    "disk erase {serial}",
    "raid create {arrays} --overwrite",
    "raid delete",
    "boot select --serial {serial}",
    "boot forget debian",
    "network apply {network} --allow-disconnect",
    "network revert",
    "validate --only cpu",
)
ELSEWHERE = {
    "image pack": "of files alone", "image unpack": "of files alone", "image sign": "of files alone",
    "network render": "for a mounted system",
    "controller backup": "of the controller", "controller restore": "of the controller",
    "diagnose bundle": "written for the operator", "diagnose capture": "written for the operator",
}  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    said: str
    error: AgentError | None


def run(machine: Path | str, line: str) -> Ended:
    """A command on a recorded machine, in this process, whose word it is forgets with its context."""
    words = ["--machine", str(machine), *line.split()]
    result = copy_context().run(lambda: CliRunner().invoke(app, words))
    error = result.exception if isinstance(result.exception, AgentError) else None
    assert error or result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Ended(result.exit_code, result.output, error)


@dataclass(frozen=True)
class Recorded:
    """A recording, and the words with which commands are filled in."""

    directory: Path
    words: dict[str, str]

    def bytes(self) -> bytes:
        """All of it."""
        return b"".join(file.read_bytes() for file in sorted(self.directory.iterdir()))

    def run(self, line: str) -> Ended:
        """A command on it."""
        return run(self.directory, line.format(**self.words))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A server with an empty disk, whose network networkd brings up."""
    folder = tmp_path_factory.mktemp("recorded")
    built = equipped.machine()
    by_wwn = "/dev/disk/by-id/wwn-0x5002538b00000001"
    unit = LinkTo("/usr/lib/systemd/system/systemd-networkd.service")
    parts.put(built, {NETWORKD: unit, by_wwn: LinkTo("../../sdb")})
    made, _ = capture(FakeHost.of(built), "a test", b"of a test")
    made.save(folder / "machine")
    (folder / "image").write_bytes(bytes(1 << 20))
    for name, content in (
        ("network", NETWORK.replace("MAC", made.links["eno2"].permanent_mac or "")),
        ("arrays", ARRAYS),
        ("before", run(folder / "machine", "inventory --json").said),
    ):
        (folder / name).write_text(content)
    empty = next(disk for disk in items(take(recorded(made)).disks) if disk.name == "sdb")
    yield Recorded(
        folder / "machine",
        {
            **{name: str(folder / name) for name in ("image", "network", "arrays", "before", "new")},
            "digest": sha256(bytes(1 << 20)).hexdigest(),
            "serial": str(empty.serial),
            "wwn": str(empty.wwn),
        },
    )


@pytest.mark.parametrize("line", READS)
def test_what_reads_works(line: str, machine: Recorded) -> None:
    """It shows the recorded machine, not this one, and leaves the recording as it was."""
    before = machine.bytes()
    ended = machine.run(line)

    assert ended.error is None and ended.status in (0, 8), ended.said
    assert "eno1" in ended.said or "PowerEdge" in ended.said or ended.said.strip() == "[]"
    assert machine.bytes() == before


@pytest.mark.parametrize("line", PLANS)
def test_plans_work_and_nothing_else_does(line: str, machine: Recorded) -> None:
    """With `--plan` it is told what would be done, or why not; without, that this is a recording."""
    before = machine.bytes()
    planned, done = machine.run(f"{line} --plan"), machine.run(line)

    assert planned.error is None or planned.error.code != "HOST.RECORDED", planned.error
    assert planned.said or planned.error
    if planned.said and "nothing to do" not in planned.said and "nothing to take back" not in planned.said:
        assert done.error is not None and done.error.code == "HOST.RECORDED", done
    assert "done" not in done.said
    assert machine.bytes() == before and not Path(machine.words["new"]).exists()


def test_these_plans_tell_what_would_be_done(machine: Recorded) -> None:
    """Of the plans above these are no refusals: the disk, the link and the entry are named."""
    write, image, erase, raid, network = (machine.run(f"{PLANS[at]} --plan") for at in (0, 1, 2, 3, 7))

    assert f"/dev/sdb (WWN {machine.words['wwn']}" in image.said
    assert "/dev/sdb" in write.said and "/dev/sdb" in erase.said
    assert raid.error is not None or "raid" in raid.said.lower()
    assert "eno2" in network.said and "10.0.9.9/24" in network.said


def test_every_plan_is_tried() -> None:
    """Whatever command has a `--plan` is tried above, or has nothing to do with a machine."""
    commands = {
        " ".join(path)
        for path, command in walk(typer.main.get_command(app))
        if any("--plan" in one.opts for one in command.params)
    }

    assert commands - set(ELSEWHERE) == {
        " ".join(line.split()[:2]) if not line.startswith("validate") else "validate" for line in PLANS
    }


@pytest.mark.parametrize("line", [*sorted(OF_THIS_MACHINE), "diagnose --watch", "status --watch"])
def test_what_stays_is_refused(line: str, machine: Recorded) -> None:
    """A ramdisk, a service, a controller, and a view that waits for changes: none acts on this machine instead."""
    ended = machine.run(line)

    assert ended.error is not None and ended.error.code == "INPUT.INVALID" and "recorded machine" in str(ended.error)


def test_the_guests_of_the_ramdisk_can_be_looked_at() -> None:
    """Those that are checked in: tables, findings, an entry for the loader that is on one of the disks."""
    serial = next(
        disk["serial"]
        for disk in json.loads(run(GUEST, "inventory --json").said)["disks"]
        if disk["transport"] == "sata"
    )
    boot = run(GUEST, f"boot select --serial {serial} --plan")

    assert "NETWORK.NO_CARRIER" in run(GUEST, "diagnose").said
    assert "SHIMX64.EFI" in boot.said and "0001,0000" in boot.said


def test_recording_a_machine(machine: Recorded, tmp_path: Path) -> None:
    """To a directory or to a file, which is looked at as well; never over one; a plan writes nothing."""
    for name in ("copy", "copy.tar.zst"):
        planned = machine.run(f"diagnose capture --to {tmp_path / name} --plan")
        assert "would be replaced" in planned.said and not (tmp_path / name).exists()
        told = json.loads(machine.run(f"diagnose capture --to {tmp_path / name} --json").said)
        assert told["names_replaced"] > 10
        assert sum(told["files"].values()) == sum(Path(path).stat().st_size for path in told["files"])
        assert "PowerEdge" in run(tmp_path / name, "inventory").said
        again = machine.run(f"diagnose capture --to {tmp_path / name}")
        assert again.error is not None and "there already" in str(again.error)


def test_a_bundle_of_a_recording_is_the_operators(machine: Recorded, tmp_path: Path) -> None:
    """It is written where the operator is, not into the machine."""
    ended = machine.run(f"diagnose bundle --to {tmp_path / 'bundle.tar.gz'}")

    assert ended.error is None and (tmp_path / "bundle.tar.gz").stat().st_size > 1000


@pytest.mark.parametrize("where", ["nothing", "empty", "other"])
def test_what_is_no_recording_is_told(where: str, tmp_path: Path) -> None:
    """A path that is not there, an empty directory, and some file: each is an error that says what to give."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").write_text("x")
    ended = run(tmp_path / where, "inventory")

    assert ended.error is not None and ended.error.exit_status == 2 and where in str(ended.error)
