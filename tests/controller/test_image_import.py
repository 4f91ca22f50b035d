# SPDX-License-Identifier: Apache-2.0
"""The real workshop: qemu-img and our own packer in the box, on images that QEMU made, and on some that mean harm."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.controller.images import Kept
from agent.controller.imports.convert import AGENT, Order, Workshop, plain
from agent.controller.imports.incoming import SOURCE
from agent.controller.imports.sandbox import NOBODY, Box, Limits, ProgramFailed, run_boxed
from agent.controller.refusal import NoSpace
from agent.errors import AgentError
from agent.model.image import ImageFormat
from tests.apply.disks import MIB, gpt_image
from tests.controller.chunks import manifest_of
from tests.loops import command

pytestmark = pytest.mark.root

DISK = gpt_image(24 * MIB)
SECRET = b"root:$6$of-the-controller"
KINDS = {
    "vmdk": ("-O", "vmdk", "-o", "subformat=monolithicSparse"),
    "stream.vmdk": ("-O", "vmdk", "-o", "subformat=streamOptimized"),
    "vhd": ("-O", "vpc", "-o", "subformat=dynamic,force_size=on"),
    "fixed.vhd": ("-O", "vpc", "-o", "subformat=fixed,force_size=on"),
    "vhdx": ("-O", "vhdx"),
    "vdi": ("-O", "vdi"),
    "qed": ("-O", "qed"),
    "qcow": ("-O", "qcow"),
    "qcow2": ("-O", "qcow2", "-c", "-o", "extended_l2=on,cluster_size=128k"),
    "raw": ("-O", "raw"),
}


def made(folder: Path, name: str, *flags: str, disk: bytes = DISK) -> Path:
    """An image of the disk, by qemu-img."""
    (folder / "disk").write_bytes(disk)
    command("qemu-img", "convert", "-f", "raw", *flags, str(folder / "disk"), str(folder / name))
    return folder / name


def imported(folder: Path, image: Path, kind: str | None = None) -> Kept:
    """By the workshop, to `folder`/kept, from a directory that nobody else can enter, as the controller's are."""
    (folder / "import").mkdir(mode=0o700)
    shutil.copyfile(image, folder / "import" / SOURCE)
    told: list[str] = []
    kept = Workshop().convert(
        Order(folder / "import", kind, image.name), folder / "kept", lambda doing, *_: told.append(doing)
    )
    assert told[-1] == "checking"
    assert [path.name for path in (folder / "import").iterdir()] == [SOURCE]
    return kept


@pytest.mark.parametrize("name", KINDS)
def test_every_kind(tmp_path: Path, name: str) -> None:
    """What comes of it is a chunked image that `zstd -d` unpacks to the disk, byte for byte, and that tells the truth
    about itself.
    """
    kept = imported(tmp_path, made(tmp_path, f"disk.{name}", *KINDS[name]))
    file = (tmp_path / "kept").read_bytes()
    unpacked = subprocess.run(["zstd", "-dc", str(tmp_path / "kept")], capture_output=True, check=True, timeout=60)

    assert hashlib.sha256(unpacked.stdout).digest() == hashlib.sha256(DISK).digest()
    assert (kept.format, kept.sha256, kept.file_bytes) == (ImageFormat.CHUNKED, manifest_of(file).digest, len(file))
    about = kept.unpacked
    assert (about.size_bytes, about.sector_bytes, about.firmware, about.min_disk_gb) == (len(DISK), 512, "bios", 1)
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o600


def test_sectors_of_4096(tmp_path: Path) -> None:
    """They are seen."""
    image = made(tmp_path, "disk.vmdk", "-O", "vmdk", disk=gpt_image(24 * MIB, 4096))

    assert imported(tmp_path, image).unpacked.sector_bytes == 4096


def test_a_raw_disk_that_looks_like_an_image(tmp_path: Path) -> None:
    """A guest that wrote a header of qcow2, with a backing file, into its own first sector, does not get that file."""
    disk = backed(tmp_path).read_bytes().ljust(24 * MIB, b"\0")
    with pytest.raises(ProgramFailed, match="it is QCOW2, not raw"):
        imported(tmp_path, made(tmp_path, "disk.vmdk", "-O", "vmdk", disk=disk))


def backed(folder: Path) -> Path:
    """A qcow2 upon a file of the controller's."""
    (folder / "secret").write_bytes(SECRET.ljust(65536, b"\0"))
    path = folder / "backed.qcow2"
    command("qemu-img", "create", "-f", "qcow2", "-F", "raw", "-b", str(folder / "secret"), str(path))
    return path


def external(folder: Path) -> Path:
    """A qcow2 whose data is in another file."""
    path = folder / "external.qcow2"
    options = f"data_file={folder / 'data'},data_file_raw=on"
    command("qemu-img", "create", "-f", "qcow2", "-o", options, str(path), "1M")
    return path


def described(folder: Path) -> Path:
    """A VMDK that is a list of other files."""
    path = folder / "described.vmdk"
    path.write_text(
        '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n\n'
        'RW 128 FLAT "/etc/shadow" 0\n\nddb.adapterType = "ide"\n'
    )
    return path


def differencing(folder: Path) -> Path:
    """A VHD that says that it stands on another."""
    path = made(folder, "differencing.vhd", "-O", "vpc", "-o", "subformat=dynamic,force_size=on")
    content = bytearray(path.read_bytes())
    for at in (0, len(content) - 512):
        footer = content[at : at + 512]
        footer[60:64] = struct.pack(">I", 4)
        footer[64:68] = bytes(4)
        footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
        content[at : at + 512] = footer
    path.write_bytes(content)
    return path


def with_snapshot(folder: Path) -> Path:
    """A qcow2 with one."""
    path = made(folder, "snapshot.qcow2", "-O", "qcow2")
    command("qemu-img", "snapshot", "-c", "before", str(path))
    return path


def gigantic(folder: Path) -> Path:
    """A few KB that say that they are 4 PB."""
    path = folder / "gigantic.qcow2"
    command("qemu-img", "create", "-f", "qcow2", "-o", "cluster_size=2M", str(path), "4P")
    return path


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (backed, "backing file"),
        (external, "another file"),
        (described, "in other files"),
        (differencing, "differencing"),
        (with_snapshot, "snapshots"),
        (gigantic, "are the most"),
    ],
)
def test_what_means_harm(tmp_path: Path, make: Callable[[Path], Path], why: str) -> None:
    """An image that reaches for other files, or that is a bomb, is refused with words, and nothing comes of it."""
    with pytest.raises(AgentError, match=why) as caught:
        imported(tmp_path, make(tmp_path))

    assert caught.value.hint
    assert [path.name for path in (tmp_path / "import").iterdir()] == [SOURCE] and not (tmp_path / "kept").exists()


def test_a_description_within_is_not_followed(tmp_path: Path) -> None:
    """A sparse VMDK holds its own data, whatever the description in it names."""
    path = made(tmp_path, "embedded.vmdk", "-O", "vmdk")
    content = bytearray(path.read_bytes())
    at = content.index(b'SPARSE "embedded.vmdk"')
    content[at : at + 22] = b'FLAT "/etc/shadow" 0\n\n'
    path.write_bytes(content)
    imported(tmp_path, path)
    unpacked = subprocess.run(["zstd", "-dc", str(tmp_path / "kept")], capture_output=True, check=True, timeout=60)

    assert unpacked.stdout == DISK


def test_a_bomb_of_packed_clusters(tmp_path: Path) -> None:
    """A few MB that say one packed cluster over and over unpack to a TiB: refused before anything is unpacked."""
    content = tmp_path / "ones"
    content.write_bytes(b"\1" * MIB)
    command("qemu-img", "convert", "-c", "-O", "qcow2", "-o", "cluster_size=2M", str(content), str(tmp_path / "small"))
    repeated(tmp_path / "small", tmp_path / "bomb.qcow2", 1024**4)
    with pytest.raises(ProgramFailed, match="qemu-img check"):
        imported(tmp_path, tmp_path / "bomb.qcow2")


def repeated(small: Path, image: Path, size_bytes: int) -> None:
    """A qcow2 all of whose clusters are one packed cluster (docs/interop/qcow2.txt)."""
    content = bytearray(small.read_bytes())
    (bits,) = struct.unpack_from(">I", content, 20)
    cluster = 1 << bits
    (l1_at,) = struct.unpack_from(">Q", content, 40)
    (l2_at,) = struct.unpack_from(">Q", content, l1_at)
    (entry,) = struct.unpack_from(">Q", content, l2_at & 0x00FFFFFFFFFFFE00)
    table_at, entries = -(-len(content) // cluster) * cluster, cluster // 8
    tables = -(-size_bytes // (cluster * entries))
    content = content.ljust(table_at, b"\0")
    content += struct.pack(">Q", entry) * entries
    l1 = struct.pack(">Q", table_at) * tables
    struct.pack_into(">Q", content, 24, size_bytes)
    struct.pack_into(">I", content, 36, tables)
    struct.pack_into(">Q", content, 40, len(content))
    image.write_bytes(bytes(content + l1).ljust(len(content) + cluster, b"\0"))


@pytest.mark.parametrize("name", ["stream.vmdk", "vhd", "vhdx", "vdi", "qed", "qcow", "qcow2"])
def test_cut_short(tmp_path: Path, name: str) -> None:
    """The first two thirds of an image are never an image."""
    image = made(tmp_path, f"disk.{name}", *KINDS[name])
    os.truncate(image, image.stat().st_size * 2 // 3)
    with pytest.raises(AgentError):
        imported(tmp_path, image)

    assert not (tmp_path / "kept").exists()


HARMLESS = Limits(512 * MIB, 30, 30, MIB)


def boxed(folder: Path, script: str, limits: Limits = HARMLESS) -> str:
    """What a shell in the box says; it may write to /out."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    said = bytearray()
    box = Box(((folder, "/given"),), (out, "/out"))
    run_boxed(["/bin/sh", "-c", script], box, limits, tell=said.extend, look=lambda: None)
    return said.decode()


def test_what_the_box_shows(tmp_path: Path) -> None:
    """An unprivileged user without capabilities sees /usr and what is given to it; of the host nothing else."""
    tmp_path.chmod(0o755)
    seen = boxed(tmp_path, "id -u; id -G; echo /*; echo /dev/*; echo $$; printf '%s' \"$HOME\"; ls -d /given")

    assert seen.split("\n")[:2] == [str(NOBODY), str(NOBODY)]
    for secret in ("/etc", "/proc", "/sys", "/root", "/home", "/var", "/run", "/tmp"):
        assert secret not in seen.split("\n")[2].split()
    assert seen.split("\n")[3] == "/dev/null"
    assert int(seen.split("\n")[4]) < 10


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("cat /etc/shadow", "No such file"),
        ("touch /usr/x", "Read-only file system"),
        ("touch /x", "Read-only file system"),
        ("touch /given/x", "Read-only file system"),
        ("mount -t tmpfs x /out", "permission denied|superuser|not permitted"),
        ("exec bash -c 'echo > /dev/tcp/127.0.0.1/PORT'", "refused|unreachable"),
    ],
)
def test_what_the_box_keeps_out(tmp_path: Path, script: str, why: str) -> None:
    """Nothing is written but to its own directory; no network, no mounts."""
    tmp_path.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(ProgramFailed, match=why):
        boxed(tmp_path, script.replace("PORT", str(server.getsockname()[1])))


@pytest.mark.parametrize(
    ("script", "limits", "why"),
    [
        ("sleep 60", Limits(512 * MIB, 0.5, 30), "not finished after"),
        ("while :; do :; done", Limits(512 * MIB, 60, 1), "SIGKILL|SIGXCPU"),
        ("dd if=/dev/null bs=900M", Limits(256 * MIB, 30, 30), "memory"),
        ("dd if=/usr/bin/qemu-img of=/out/x", Limits(512 * MIB, 30, 30, 65536), "SIGXFSZ|too large"),
    ],
)
def test_limits(tmp_path: Path, script: str, limits: Limits, why: str) -> None:
    """Of the clock, the processor, the memory and the file: whoever goes beyond is ended."""
    tmp_path.chmod(0o755)
    with pytest.raises(ProgramFailed, match=why):
        boxed(tmp_path, script, limits)


def test_threads_in_little_memory(tmp_path: Path) -> None:
    """The threads of qemu-img share one heap and have small stacks: with a heap each, of 64 MiB of addresses, not even
    200 MiB were enough for an image of 24, and a gigabyte not always.
    """
    tmp_path.chmod(0o755)
    image = made(tmp_path, "disk.qcow", *KINDS["qcow"])
    image.chmod(0o644)
    for turn in range(5):
        boxed(tmp_path, f"qemu-img convert -O raw /given/disk.qcow /out/{turn}", Limits(200 * MIB, 60, 60, 64 * MIB))
    assert (tmp_path / "out" / "4").read_bytes() == DISK


def test_ended_by_who_looks(tmp_path: Path) -> None:
    """When the import is not wanted any more, its program ends at once, with all its children."""
    tmp_path.chmod(0o755)
    (tmp_path / "out").mkdir()

    def look() -> None:
        raise NoSpace("importing an image", "enough")

    box = Box((), (tmp_path / "out", "/out"))
    with pytest.raises(NoSpace):
        run_boxed(["/bin/sh", "-c", "sleep 600 & sleep 600"], box, HARMLESS, tell=lambda _: None, look=look)


def test_links_that_a_program_leaves(tmp_path: Path) -> None:
    """What comes out of the box is a plain file, or is not taken."""
    (tmp_path / "there").write_bytes(b"x")
    (tmp_path / "link").symlink_to("/etc/shadow")
    os.link(tmp_path / "there", tmp_path / "second")
    for name in ("link", "second", "missing"):
        with pytest.raises(ProgramFailed, match="plain file"):
            plain(tmp_path / name)


def test_our_own_program_runs_there() -> None:
    """`python -m agent` is what `bms-agent` is."""
    assert "pack" in command(*AGENT, "image", "--help")
