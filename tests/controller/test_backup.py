# SPDX-License-Identifier: Apache-2.0
"""Backups: made while the controller is at work, whole or refused, and what a restored controller does not do."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.cli import app
from agent.controller.backup.archive import MANIFEST, Manifest, read_backup, write_backup
from agent.controller.backup.restore import restore
from agent.controller.context import open_controller
from agent.controller.options import Options
from agent.controller.tls import load_authority
from agent.errors import AgentError, ConfigError
from tests.controller.machine import Machine, a_key
from tests.controller.people import Person, administrator, person
from tests.controller.world import World

NOW = datetime(2026, 5, 2, tzinfo=UTC)
RAW = bytes(2**20)


@pytest.fixture
def backup(world: World, tmp_path: Path) -> Path:
    """One of a controller with an uploaded image, a server that is ACTIVE, and one that is being written."""
    headers = {"Authorization": f"Bearer {world.controller.user_token}"}
    path = "/v1/images/upload?name=own&format=raw"
    assert world.http.post(path, headers=headers, content=RAW).status_code == 201
    active = Machine(world).power_on()
    world.order()
    active.serve()
    Machine(world, 2).power_on()
    world.order(name="coming")
    write_backup(world.options, tmp_path / "backup.tar", NOW, with_images=True)
    return tmp_path / "backup.tar"


@pytest.fixture
def elsewhere(backup: Path, tmp_path: Path) -> Iterator[World]:
    """A controller that was restored from it, in another place."""
    restore(backup, tmp_path / "restored")
    world = World(tmp_path / "restored")
    yield world
    world.close()


def moved(machine: Machine, world: World) -> Machine:
    """The same machine, whose agent now reaches another controller."""
    machine.world = world
    return machine


def test_a_restored_controller_goes_on(world: World, elsewhere: World) -> None:
    """Keys, tokens, records and images are those of before: the same token opens it, and the image is the same."""
    assert elsewhere.controller.user_token == world.controller.user_token
    assert elsewhere.server()["status"] == "ACTIVE"
    assert {one["name"] for one in elsewhere.user("GET", "/v1/subnets")} == {"net"}
    [image] = [one for one in elsewhere.user("GET", "/v1/images") if one["name"] == "own"]
    assert elsewhere.http.get(f"/images/{image['id']}/content").content == RAW
    assert elsewhere.user("GET", "/v1/audit")


def test_agents_of_before_are_heard(world: World, tmp_path: Path) -> None:
    """The OS of a server goes on with its credential, and takes the desired state: its generation is a newer one."""
    machine = Machine(world).power_on()
    world.order()
    machine.serve()
    held = machine.desired().generation
    write_backup(world.options, tmp_path / "b", NOW, with_images=True)
    world.user("POST", "/v1/security-groups/default/rules", {"direction": "in", "version": 4, "protocol": "tcp"})
    held = machine.desired().generation
    restore(tmp_path / "b", tmp_path / "restored")
    other = World(tmp_path / "restored")

    assert moved(machine, other).desired().generation > held + 1000
    assert machine.beat().current
    other.close()


def test_nothing_that_was_under_way_is_begun_again(elsewhere: World) -> None:
    """The deploy of then may have ended long ago: whoever has the machine now keeps their data."""
    server = elsewhere.server("coming")
    machine = Machine(elsewhere, 2).power_on()

    assert (server["status"], server["fault"]["code"]) == ("ERROR", "BMS.RESTORED")
    assert machine.desired().request is None
    elsewhere.look(10_000)
    assert machine.desired().request is None
    assert elsewhere.power.told == []


def test_no_node_is_given_away_before_somebody_looked(elsewhere: World) -> None:
    """It may be a tenant's by now, who is in no record."""
    third = Machine(elsewhere, 3).power_on()
    order = {"name": "web2", "flavor": "small", "image": "debian", "nics": [{"subnet": "net"}]}
    nodes = elsewhere.user("GET", "/v1/nodes")

    assert {node["maintenance"] for node in nodes if node["id"] != third.node_id} == {True}
    elsewhere.user("POST", "/v1/servers", order, status=202)  # one that came since is nobody's
    assert elsewhere.server("web2")["node_id"] == third.node_id


def test_a_backup_is_whole_while_the_controller_works(world: World, tmp_path: Path) -> None:
    """Taken amid changes it is the state of one instant: every server in it has its port, its job and its node."""
    stop, written = Event(), 0

    def work() -> None:
        nonlocal written
        while not stop.is_set():
            name = f"g{written}"
            world.user("POST", "/v1/security-groups", {"name": name})
            written += 1

    thread = Thread(target=work)
    thread.start()
    try:
        for number in range(3):
            write_backup(world.options, tmp_path / f"{number}.tar", NOW, with_images=True)
    finally:
        stop.set()
        thread.join()
    assert written > 0
    for number in range(3):
        restore(tmp_path / f"{number}.tar", tmp_path / f"r{number}")
        other = World(tmp_path / f"r{number}")
        groups = [one for one in other.user("GET", "/v1/security-groups") if one["name"] != "default"]
        assert all(len(one["rules"]) == 2 for one in groups)  # a group and its rules are one change
        other.close()


def test_a_backup_without_images_says_what_is_missing(world: World, backup: Path, tmp_path: Path) -> None:
    """Such an image is killed, so that no server is ever ordered from nothing; put back beforehand, it is there."""
    write_backup(world.options, tmp_path / "small.tar", NOW, with_images=False)
    _, settled = restore(tmp_path / "small.tar", tmp_path / "bare")
    bare = World(tmp_path / "bare")
    own = bare.user("GET", "/v1/images/own")
    bare.close()
    (tmp_path / "kept" / "images").mkdir(parents=True)
    image_id = own["id"]
    (tmp_path / "kept" / "images" / image_id).write_bytes(RAW)
    _, kept = restore(tmp_path / "small.tar", tmp_path / "kept")

    assert (settled.images, own["status"], own["fault"]["code"]) == (1, "killed", "BMS.RESTORED")
    assert kept.images == 0
    assert (tmp_path / "kept" / "images" / image_id).read_bytes() == RAW


def test_nobody_else_may_read_it(backup: Path) -> None:
    """It holds the keys of the cloud; nothing of its making is left beside it."""
    assert backup.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in backup.parent.iterdir() if path.name.startswith(".")] == []


def test_a_controller_is_never_overwritten(world: World, backup: Path) -> None:
    """Not the one that runs, and not one that was stopped."""
    with pytest.raises(ConfigError, match="it holds a controller"):
        restore(backup, world.options.data)


@pytest.mark.parametrize("log", ["wal", "shm", "journal"])
def test_what_a_dead_controller_left_is_not_restored_over(backup: Path, tmp_path: Path, log: str) -> None:
    """SQLite would write an old log of its own into the restored database."""
    left = tmp_path / "target" / f"controller.sqlite-{log}"
    left.parent.mkdir()
    left.write_bytes(b"left")
    with pytest.raises(ConfigError, match=left.name):
        restore(backup, left.parent)

    assert [path.name for path in left.parent.iterdir()] == [left.name]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_half_a_backup_is_none(backup: Path, tmp_path: Path, share: float) -> None:
    """Cut short anywhere it is refused, and nothing of it becomes a controller."""
    whole = backup.read_bytes()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[: int((len(whole) - 10240) * share)])
    with pytest.raises(AgentError):
        restore(cut, tmp_path / "target")

    assert [path.name for path in (tmp_path / "target").iterdir()] == ["images"]


def test_a_changed_byte_is_found(backup: Path, tmp_path: Path) -> None:
    """In the database, in a key, in an image: wherever it is."""
    whole = bytearray(backup.read_bytes())
    with tarfile.open(backup) as tar:
        places = {member.name: member.offset_data for member in tar.getmembers() if member.name != MANIFEST}
    assert len(places) == 4
    for name, place in places.items():
        changed = whole.copy()
        changed[place + 20] ^= 1
        (tmp_path / "changed.tar").write_bytes(changed)
        with pytest.raises(ConfigError, match=name):
            read_backup(tmp_path / "changed.tar", None)


@pytest.mark.parametrize(
    "member",
    [
        {"name": "../evil"},
        {"name": "/etc/evil"},
        {"name": "images/../../evil"},
        {"name": "images/link", "type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"name": "secret-key", "type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"name": "secret-key", "type": tarfile.CHRTYPE},
        {"name": "notes.txt"},
    ],
)
def test_a_hostile_archive_writes_nowhere(tmp_path: Path, member: dict[str, Any]) -> None:
    """Only names that a backup has are unpacked, and only plain files."""
    hostile = tarfile.TarInfo(member["name"])
    hostile.type = member.get("type", tarfile.REGTYPE)
    hostile.linkname = member.get("linkname", "")
    with tarfile.open(tmp_path / "hostile.tar", "w") as tar:
        tar.addfile(hostile, io.BytesIO())
    with pytest.raises(ConfigError, match="does not belong"):
        restore(tmp_path / "hostile.tar", tmp_path / "target")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["hostile.tar", "target"]


def test_records_elsewhere_are_backed_up_elsewhere(tmp_path: Path) -> None:
    """PostgreSQL has tools of its own, and the error names them."""
    options = Options(data=tmp_path, database="postgresql+psycopg://db/bms")
    with pytest.raises(ConfigError) as refused:
        write_backup(options, tmp_path / "b", NOW, with_images=True)

    assert "pg_dump" in refused.value.hint


def test_by_hand(world: World, tmp_path: Path) -> None:
    """`bms-agent controller backup` and `restore`, each with a plan that changes nothing."""
    person(world, "ada", "viewer")
    data, file, target = str(world.options.data), str(tmp_path / "b.tar"), str(tmp_path / "new")

    def typed(*words: str) -> str:
        done = CliRunner().invoke(app, ["controller", *words])
        assert done.exit_code == 0, done.output
        return done.output

    assert "would copy" in typed("backup", "--data", data, "--to", file, "--plan")
    assert not Path(file).exists()
    assert "3 files" in typed("backup", "--data", data, "--to", file)
    assert "sound" in typed("restore", file, "--data", target, "--plan")
    assert not Path(target).exists()
    assert "0 nodes are in maintenance" in typed("restore", file, "--data", target)
    restored = World(Path(target))
    assert "ada" in [user["name"] for user in administrator(restored).does("GET", "/v1/users")]
    restored.close()


def test_the_manifest_is_for_people_too(backup: Path) -> None:
    """Any tar shows it."""
    with tarfile.open(backup) as tar:
        file = tar.extractfile(MANIFEST)
        assert file is not None
        manifest = Manifest.model_validate_json(file.read())

    assert manifest.made_at == NOW
    assert manifest.with_images


def test_the_authority_comes_along(made: Callable[..., World], tmp_path: Path) -> None:
    """Or no agent would know the restored controller."""
    world = made(listen_tls="127.0.0.1:8481")
    assert world.controller.authority is not None
    write_backup(world.options, tmp_path / "b.tar", NOW, with_images=False)
    restore(tmp_path / "b.tar", tmp_path / "restored")

    assert load_authority(tmp_path / "restored").pin == world.controller.authority.pin


def test_what_waited_for_a_second_person_waits_no_more(made: Callable[..., World], tmp_path: Path) -> None:
    """It may have been given since: after a restore nobody approves it, be it asked for again."""
    world = made(require_approval=True)
    machine = Machine(world).power_on()
    world.order()
    machine.serve()
    assert world.refused("POST", "/v1/servers/web/reinstall")[1] == "BMS.APPROVAL_NEEDED"
    [one] = world.user("GET", "/v1/approvals")
    write_backup(world.options, tmp_path / "b", NOW, with_images=True)
    restore(tmp_path / "b", tmp_path / "restored")
    other = World(tmp_path / "restored", require_approval=True)
    bob = person(other, "bob", "admin")

    assert bob.does("GET", "/v1/approvals") == []
    assert bob.code("POST", f"/v1/approvals/{one['id']}/approve") == (409, "BMS.STATE")
    assert other.server()["task_state"] is None
    other.close()


def test_an_enrolment_token_is_not_good_twice(world: World, tmp_path: Path) -> None:
    """One that may have been used since the backup lets in nobody but who came by it before."""
    token = world.user("POST", "/v1/enrolment-tokens", {"machines": 2})["token"]
    known = Machine(world, 5, token=token, boot_id="boot-5", key=a_key())
    assert known.send("/v1/agent/enroll", known.enrolment()).status_code == 200
    write_backup(world.options, tmp_path / "b", NOW, with_images=True)
    restore(tmp_path / "b", tmp_path / "restored")
    other = World(tmp_path / "restored", enrolment="manual")
    stranger = Machine(other, 6, token=token, boot_id="boot-6", key=a_key())
    refused = stranger.send("/v1/agent/enroll", stranger.enrolment())
    known = Machine(other, 5, token=token, boot_id="boot-5b", key=a_key())

    assert (refused.status_code, refused.json()["fault"]["code"]) == (403, "ENROLL.TOKEN_REFUSED")
    assert known.send("/v1/agent/enroll", known.enrolment()).status_code == 200
    other.close()


def test_what_was_revoked_since_is_good_again(world: World, tmp_path: Path) -> None:
    """A token of a person, and a node's: whoever restores has to shut them out anew."""
    bob, machine = person(world, "bob", "viewer"), Machine(world).power_on()
    write_backup(world.options, tmp_path / "b", NOW, with_images=True)
    for token in administrator(world).does("GET", "/v1/tokens"):
        administrator(world).does("DELETE", f"/v1/tokens/{token['id']}")
    world.user("POST", f"/v1/nodes/{machine.node_id}/revoke", {}, status=200)
    restore(tmp_path / "b", tmp_path / "restored")
    other = World(tmp_path / "restored")

    assert bob.code("GET", "/v1/whoami") == (401, "AUTH.REQUIRED")
    assert Person(other, bob.token).does("GET", "/v1/whoami")["name"] == "bob"
    assert other.node(machine.node_id)["revoked"] is False
    assert world.node(machine.node_id)["revoked"] is True
    other.close()


KILLED_AT = """
import os, signal, sys
from pathlib import Path
from agent.controller.backup.restore import restore

moves = iter(range(1, 100))

def moved(event, _):
    if event == "os.rename" and next(moves) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(moved)
restore(Path(sys.argv[1]), Path(sys.argv[2]))
"""
"""Before the move of that number."""


@pytest.mark.commands
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_restore_that_was_killed(backup: Path, tmp_path: Path, at: int) -> None:
    """No controller starts upon its half, which would begin anew with the old keys; restored again, it is whole, and
    nothing is left of the first try.
    """
    target = tmp_path / "target"
    argv = [sys.executable, "-c", KILLED_AT, str(backup), str(target), str(at)]
    killed = subprocess.run(argv, env=os.environ | {"PYTHONPATH": str(Path.cwd())}, check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(ConfigError, match="that was cut off") as refused:
        open_controller(Options(data=target))
    assert "Restore it again" in refused.value.hint

    restore(backup, target)
    restore(backup, tmp_path / "other")
    assert names(target) == names(tmp_path / "other")
    world = World(target)
    assert world.server("coming")["status"] == "ERROR"
    world.close()


def names(directory: Path) -> list[str]:
    """Of what is in it, at any depth."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_what_killed_backups_left_goes(world: World, tmp_path: Path) -> None:
    """A copy of all records, and half a file, a day later; what may be at work now stays."""
    data, old = world.options.data, NOW.timestamp() - 2 * 86400
    for place, name, kind in ((data, ".backup-old", "d"), (data, ".backup-new", "d"), (tmp_path, ".b.tar.1.part", "f")):
        (place / name).mkdir() if kind == "d" else (place / name).touch()
    for path in (data / ".backup-old", tmp_path / ".b.tar.1.part"):
        os.utime(path, (old, old))
    os.utime(data / ".backup-new", (NOW.timestamp(), NOW.timestamp()))

    write_backup(world.options, tmp_path / "b.tar", NOW, with_images=False)
    assert [path.name for path in data.glob(".backup-*")] == [".backup-new"]
    assert not list(tmp_path.glob(".b.tar*"))
