# SPDX-License-Identifier: Apache-2.0
"""Files put into real filesystems on loop devices: where they belong, as they should be, and nowhere else."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.apply.inject import LARGEST_BYTES, PLACE, inject_files
from agent.errors import AgentError, DecodeError, HostError, InputError, PreconditionError
from agent.host.doors import Host
from agent.host.fake import FakeHost, FaultPlan, Page
from agent.model.disk import DiskIdentity
from agent.model.inject import Candidate, FileToInject, InjectFiles, Placed
from tests.apply.disks import MIB, machine
from tests.apply.real import host
from tests.loops import command, loop

DISK = DiskIdentity(path="/dev/sda", wwn=None, serial="S0", size_bytes=64 * MIB, logical_sector_bytes=512)
URL = "http://files.example/key"
CHECKS = {
    "ext4": ("e2fsck", "-fn"),
    "xfs": ("xfs_repair", "-n"),
    "btrfs": ("btrfs", "check"),
}
MAKING = {
    "ext4": ("mkfs.ext4", "-q"),
    "xfs": ("mkfs.xfs", "-q"),
    "btrfs": ("mkfs.btrfs", "-q"),
}


def packed(data: bytes) -> SecretStr:
    """As it is given."""
    return SecretStr(base64.b64encode(data).decode())


def file(path: str, data: bytes = b"new", **more: object) -> FileToInject:
    """With that content."""
    return FileToInject.model_validate({"path": path, "content": packed(data), **more})


def step(*files: FileToInject, on: tuple[tuple[str, str], ...]) -> InjectFiles:
    """These files, into the first of these (node, filesystem) that has their directory."""
    candidates = tuple(Candidate(node=node, filesystem=kind) for node, kind in on)
    return InjectFiles(disk=DISK, placed=tuple(Placed(file=one, candidates=candidates) for one in files))


@contextmanager
def seen(node: str, place: Path) -> Iterator[Path]:
    """What is on a filesystem."""
    place.mkdir(exist_ok=True)
    command("mount", node, str(place))
    try:
        yield place
    finally:
        command("umount", str(place))


@contextmanager
def filesystem(directory: Path, kind: str, size_bytes: int = 64 * MIB) -> Iterator[str]:
    """One on a loop device, with an /etc that knows a user."""
    with loop(directory, size_bytes, name=f"{kind}.img") as node:
        command(*MAKING[kind], node)
        with seen(node, directory / "at") as root:
            (root / "etc").mkdir()
            (root / "etc/passwd").write_text("root:x:0:0::/:\napp:x:1234:1235::/srv:/bin/sh\n")
            (root / "etc/group").write_text("root:x:0:\nstaff:x:77:app\n")
        yield node


def is_mounted() -> bool:
    """Whether something was left behind."""
    return any(line.split()[1] == PLACE for line in Path("/proc/mounts").read_text().splitlines())


@pytest.mark.root
def test_content_mode_and_owner(tmp_path: Path) -> None:
    """By name or number, names by the system's own tables; directories that are missing are made, with their mode."""
    with filesystem(tmp_path, "ext4") as node:
        files = (
            file("/etc/a/b/key", b"\0secret", mode=0o600, dirmode=0o700, owner="app", group="staff"),
            file("/etc/number", owner=5, group=6, mode=0o640),
            file("/etc/passwd", b"root:x:0:0::/:\n"),
            file("/etc/empty", b""),
        )
        result = inject_files(host(), step(*files, on=((node, "ext4"),)), lambda *_: None)

        assert result["/etc/a/b/key"] == f"written to {node}" and not is_mounted()
        with seen(node, tmp_path / "at") as root:
            key, folder = (root / "etc/a/b/key").stat(), (root / "etc/a/b").stat()
            assert (root / "etc/a/b/key").read_bytes() == b"\0secret"
            assert (stat.S_IMODE(key.st_mode), key.st_uid, key.st_gid) == (0o600, 1234, 77)
            assert stat.S_IMODE(folder.st_mode) == 0o700
            number = (root / "etc/number").stat()
            assert (stat.S_IMODE(number.st_mode), number.st_uid, number.st_gid) == (0o640, 5, 6)
            assert (root / "etc/passwd").read_text() == "root:x:0:0::/:\n"
            assert (root / "etc/empty").read_bytes() == b""
        command(*CHECKS["ext4"], node)


@pytest.mark.root
def test_no_link_leads_out(tmp_path: Path) -> None:
    """Links of the image, to files and to directories, absolute and with dots, stay inside of it: what they mean is
    what they mean to the system itself.
    """
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    with filesystem(tmp_path, "ext4") as node:
        with seen(node, tmp_path / "at") as root:
            (root / "etc/climbs").symlink_to("../../../../../.." + str(outside))
            (root / "etc/absolute").symlink_to(outside)
            (root / "etc/shadow").symlink_to(outside / "file")
            (root / "opt").symlink_to("/etc")
            os.mkfifo(root / "etc/pipe")
        files = (
            file("/etc/climbs/file", b"1"),
            file("/etc/absolute/other", b"2"),
            file("/etc/shadow", b"3"),
            file("/opt/motd", b"4"),
        )
        inject_files(host(), step(*files, on=((node, "ext4"),)), lambda *_: None)
        with pytest.raises(HostError, match="no regular file"):
            inject_files(host(), step(file("/etc/pipe"), on=((node, "ext4"),)), lambda *_: None)

        assert [each.name for each in outside.iterdir()] == ["file"]
        assert (outside / "file").read_text() == "untouched" and not is_mounted()
        with seen(node, tmp_path / "at") as root:
            inside = root / str(outside).lstrip("/")
            assert (inside / "file").read_text() == "3" and (inside / "other").read_text() == "2"
            assert (root / "etc/motd").read_text() == "4"


@pytest.mark.root
@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_other_filesystems(tmp_path: Path, kind: str) -> None:
    """Each is whole afterwards, and holds the file."""
    with filesystem(tmp_path, kind, 320 * MIB) as node:
        inject_files(host(), step(file("/etc/motd"), on=((node, kind),)), lambda *_: None)

        with seen(node, tmp_path / "at") as root:
            assert (root / "etc/motd").read_text() == "new"
        command(*CHECKS[kind], node)


@pytest.mark.root
@pytest.mark.parametrize("partition", [None, 1])
def test_a_system_in_a_subvolume(tmp_path: Path, partition: int | None) -> None:
    """The file is where the system will see it, also if its partition is named; nothing is made beside."""
    with loop(tmp_path, 320 * MIB) as node:
        command("mkfs.btrfs", "-q", node)
        with seen(node, tmp_path / "at") as top:
            command("btrfs", "subvolume", "create", str(top / "@"))
            (top / "@/etc").mkdir()
            (top / "@/etc/os-release").write_text("ID=debian")
        inject_files(host(), step(file("/etc/motd", partition=partition), on=((node, "btrfs"),)), lambda *_: None)

        with seen(node, tmp_path / "at") as top:
            assert (top / "@/etc/motd").read_text() == "new" and not (top / "etc").exists()


@pytest.mark.root
def test_the_partition_that_has_the_directory(tmp_path: Path) -> None:
    """The first of several; without any of them nothing is written, and the error names them."""
    with ExitStack() as stack:
        boot = stack.enter_context(loop(tmp_path, 8 * MIB, name="boot"))
        command("mkfs.ext4", "-q", boot)
        root = stack.enter_context(filesystem(tmp_path, "ext4"))
        both = ((boot, "ext4"), (root, "ext4"))
        result = inject_files(host(), step(file("/etc/motd"), on=both), lambda *_: None)

        assert result == {"/etc/motd": f"written to {root}"}
        with pytest.raises(PreconditionError, match=f"no directory /usr on {boot}, {root}"):
            inject_files(host(), step(file("/usr/motd"), on=both), lambda *_: None)
        named = file("/fresh/motd", partition=1)
        inject_files(host(), step(named, on=((boot, "ext4"),)), lambda *_: None)
        with seen(boot, tmp_path / "at") as place:
            assert (place / "fresh/motd").read_text() == "new"
    assert not is_mounted()


@pytest.mark.root
def test_taking_out(tmp_path: Path) -> None:
    """A file goes, a link goes and not what it leads to, what is not there is gone already; a directory stays."""
    with filesystem(tmp_path, "ext4") as node:
        with seen(node, tmp_path / "at") as root:
            (root / "etc/link").symlink_to("passwd")
            (root / "etc/kept").mkdir()
        gone = [FileToInject(path=f"/etc/{name}", deleted=True) for name in ("group", "link", "nothing")]
        result = inject_files(host(), step(*gone, on=((node, "ext4"),)), lambda *_: None)
        with pytest.raises(HostError, match="it is a directory"):
            kept = FileToInject(path="/etc/kept", deleted=True)
            inject_files(host(), step(kept, on=((node, "ext4"),)), lambda *_: None)

        assert result["/etc/group"] == f"removed from {node}"
        with seen(node, tmp_path / "at") as root:
            assert sorted(each.name for each in (root / "etc").iterdir()) == ["kept", "passwd"]


@pytest.mark.root
@pytest.mark.parametrize(
    ("wrong", "evidence"),
    [
        (file("/etc/x", owner="nobody-here"), "not in /etc/passwd"),
        (file("/etc/x", group="app"), "not in /etc/group"),
        (file("/etc", partition=1), "names no file|directory of that name"),
    ],
)
def test_what_cannot_be(tmp_path: Path, wrong: FileToInject, evidence: str) -> None:
    """A name that the system does not know is not guessed; nothing is left mounted, and no file is half there."""
    with filesystem(tmp_path, "ext4") as node:
        with pytest.raises(HostError, match=evidence):
            inject_files(host(), step(wrong, on=((node, "ext4"),)), lambda *_: None)

        assert not is_mounted()
        with seen(node, tmp_path / "at") as root:
            assert sorted(each.name for each in (root / "etc").iterdir()) == ["group", "passwd"]


@pytest.mark.root
def test_no_room(tmp_path: Path) -> None:
    """A file that does not fit is an error, and the filesystem is unmounted, and whole."""
    with filesystem(tmp_path, "ext4", 8 * MIB) as node:
        with pytest.raises(AgentError, match="No space left"):
            inject_files(host(), step(file("/etc/big", bytes(12 * MIB)), on=((node, "ext4"),)), lambda *_: None)

        assert not is_mounted()
        command(*CHECKS["ext4"], node)


@pytest.mark.root
def test_a_broken_filesystem(tmp_path: Path) -> None:
    """It is not mounted, and the error says what mount said."""
    with loop(tmp_path, 8 * MIB) as node, pytest.raises(HostError, match="mount"):
        inject_files(host(), step(file("/etc/motd"), on=((node, "ext4"),)), lambda *_: None)


def fetching(page: Page | None, faults: FaultPlan | None = None) -> Host:
    """A machine whose web has that, and which mounts anything."""
    made = machine(64 * MIB)
    if page is not None:
        made.web[URL] = page
    made.tree.put(f"{PLACE}/etc/passwd", b"")
    made.programs |= dict.fromkeys(("mount", "umount", "sync"), made.programs["modprobe"])
    return FakeHost.of(made, faults)


def behind(url: str = URL) -> InjectFiles:
    """A file behind a URL."""
    return step(FileToInject(path="/etc/key", url=SecretStr(url)), on=(("/dev/sda1", "ext4"),))


def test_a_filesystem_with_errors_ends_no_kernel() -> None:
    """Whatever its superblock says of errors: it may say panic."""
    made = fetching(Page(b""))
    inject_files(made, behind(), lambda *_: None)

    assert isinstance(made, FakeHost)
    (argv,) = [argv for argv in made.machine.commands if argv[0] == "mount"]
    assert argv[4] == "rw,nosuid,nodev,noexec,errors=remount-ro"


def test_content_behind_a_url() -> None:
    """It is fetched, and is all there."""
    made = fetching(Page(b"from the web"))
    inject_files(made, behind(), lambda *_: None)

    assert made.files.read_bytes(f"{PLACE}/etc/key") == b"from the web"


def test_what_is_not_there_is_told_before_anything_is_mounted() -> None:
    """Nor is content that is no base64, nor a file as large as an image."""
    for page, one, error in (
        (None, behind(), AgentError),
        (Page(bytes(LARGEST_BYTES + 1)), behind(), InputError),
        (None, step(FileToInject(path="/etc/x", content=SecretStr("*")), on=(("/dev/sda1", "ext4"),)), DecodeError),
    ):
        made = fetching(page)
        with pytest.raises(error):
            inject_files(made, one, lambda *_: None)
        assert isinstance(made, FakeHost) and not [argv for argv in made.machine.commands if argv[0] == "mount"]


def test_a_link_that_breaks_is_tried_again() -> None:
    """After a pause; one that is refused is not."""
    made = fetching(Page(b"found"), FaultPlan(at=1))
    before_s = made.clock.monotonic_s()
    inject_files(made, behind(), lambda *_: None)

    assert made.files.read_bytes(f"{PLACE}/etc/key") == b"found"
    assert made.clock.monotonic_s() - before_s >= 1


def test_secrets_are_not_told() -> None:
    """Neither in the plan's text nor in an error: a URL may be signed."""
    with pytest.raises(AgentError) as caught:
        inject_files(fetching(None), behind(f"{URL}?signature=s3cret"), lambda *_: None)

    assert "s3cret" not in str(caught.value) and "s3cret" not in repr(behind(f"{URL}?signature=s3cret"))
