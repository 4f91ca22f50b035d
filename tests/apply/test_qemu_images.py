# SPDX-License-Identifier: Apache-2.0
"""QCOW2 as QEMU makes it, onto a loop device, against what QEMU itself makes of it; its other formats are refused."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent.apply.image import write_image
from agent.errors import ImageRefused
from agent.model.image import ImageFormat, ImageRef
from agent.model.plan import WriteImage
from tests.apply.disks import MIB, gpt_image
from tests.apply.real import cannot_boot, host, write_of
from tests.hostile import serving
from tests.loops import command, loop

pytestmark = pytest.mark.root

SIZE = 24 * MIB
DISK = 32 * MIB
CRYPT_METHOD, LUKS = 32, 2
"""Where in the header it says how it is encrypted, and what for LUKS (QEMU, docs/interop/qcow2.txt)."""
SOFT = random.Random(5).randbytes(6 * MIB).translate(bytes(byte & 0x3F for byte in range(256)))
IMAGE = gpt_image()[: 3 * MIB] + SOFT + bytes(9 * MIB) + random.Random(6).randbytes(2 * MIB) + bytes(4 * MIB)
MADE = {
    "version 2": ("-o", "compat=0.10"),
    "version 3": ("-o", "compat=1.1"),
    "zlib": ("-c",),
    "version 2, zlib": ("-c", "-o", "compat=0.10"),
    "zstd": ("-c", "-o", "compression_type=zstd"),
    "clusters of 512": ("-o", "cluster_size=512"),
    "clusters of 4 KiB, zlib": ("-c", "-o", "cluster_size=4096"),
    "clusters of 2 MiB": ("-o", "cluster_size=2M"),
    "clusters of 2 MiB, zstd": ("-c", "-o", "cluster_size=2M,compression_type=zstd"),
    "metadata laid out": ("-o", "preallocation=metadata"),
    "all laid out": ("-o", "preallocation=full"),
    "zeroes written": ("-S", "0"),
    "in several hands": ("-W", "-m", "8"),
    "refcounts of 64 bits": ("-o", "refcount_bits=64"),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory."""
    with TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


def converted(folder: Path, image_format: str, *flags: str, name: str = "made") -> Path:
    """The image as QEMU packs it."""
    raw, made = folder / "raw", folder / name
    raw.write_bytes(IMAGE)
    command("qemu-img", "convert", "-f", "raw", "-O", image_format, *flags, str(raw), str(made))
    return made


@contextmanager
def full_disk(folder: Path, file: bytes, image_format: ImageFormat) -> Iterator[WriteImage]:
    """A disk full of ones, `folder/disk`, and the step that writes the file there."""
    (folder / "disk").write_bytes(b"\xff" * DISK)
    with serving(file) as server, loop(folder, DISK) as node:
        ref = ImageRef(url=server.url, format=image_format, sha256=hashlib.sha256(file).hexdigest())
        yield write_of(node, ref, folder, verify=True)


def written(folder: Path, file: bytes) -> bytes:
    """What is on the disk then, with the head put where it belongs."""
    with full_disk(folder, file, ImageFormat.QCOW2) as step:
        write_image(host(), step, lambda *_: None)
        content = (folder / "disk").read_bytes()
    assert not any(content[:MIB])
    return Path(step.head_path).read_bytes() + content[MIB:]


def must_be_refused(folder: Path, file: bytes, said: ImageFormat, told: str) -> str:
    """With the disk as it was; the hint is returned."""
    with full_disk(folder, file, said) as step:
        with pytest.raises(ImageRefused, match=told) as error:
            write_image(host(), step, lambda *_: None)
        assert (folder / "disk").read_bytes() == b"\xff" * DISK
    return error.value.hint


@pytest.mark.parametrize("flags", MADE.values(), ids=MADE)
def test_as_qemu_makes_it(folder: Path, flags: tuple[str, ...]) -> None:
    """Every way of packing it; each byte is right, holes included."""
    file = converted(folder, "qcow2", *flags).read_bytes()

    assert written(folder, file)[:SIZE] == IMAGE


def test_one_that_was_used(folder: Path) -> None:
    """Written, zeroed, discarded, with snapshots: it is the active layer that is written, as QEMU reads it."""
    made, noise = converted(folder, "qcow2", "-c"), random.Random(7)
    orders = []
    for number in range(60):
        at, length = noise.randrange(2 * MIB, SIZE - MIB) // 512 * 512, noise.randrange(1, 900) * 512
        kind = noise.choice((f"write -P {number + 1}", "write -z", "write -zu", "discard"))
        orders += ["-c", f"{kind} {at} {length}"]
    command("qemu-io", "-f", "qcow2", *orders[:60], str(made))
    command("qemu-img", "snapshot", "-c", "before", str(made))
    command("qemu-io", "-f", "qcow2", *orders[60:], str(made))
    command("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(made), str(folder / "expected"))

    assert written(folder, made.read_bytes())[:SIZE] == (folder / "expected").read_bytes()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("-o", "extended_l2=on,cluster_size=128k"), "subclusters"),
        (("-o", "data_file=/dev/shm/bms-agent-test-data"), "data is in another file, '/dev/shm/bms-agent-test-data'"),
    ],
    ids=["subclusters", "data file"],
)
def test_refused(folder: Path, flags: tuple[str, ...], told: str) -> None:
    """What cannot be read alone, or is not read here, is refused by name, with the disk untouched."""
    try:
        file = converted(folder, "qcow2", *flags).read_bytes()
    finally:
        Path("/dev/shm/bms-agent-test-data").unlink(missing_ok=True)
    must_be_refused(folder, file, ImageFormat.QCOW2, told)


def test_encrypted(folder: Path) -> None:
    """So is what is marked as encrypted; qemu-img itself makes such a file only where it can time its own threads."""
    file = bytearray(converted(folder, "qcow2").read_bytes())
    file[CRYPT_METHOD : CRYPT_METHOD + 4] = LUKS.to_bytes(4, "big")
    must_be_refused(folder, bytes(file), ImageFormat.QCOW2, "encrypted.*LUKS")


def test_backing_file(folder: Path) -> None:
    """So is an overlay."""
    base = converted(folder, "qcow2")
    command("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(folder / "overlay"))
    must_be_refused(folder, (folder / "overlay").read_bytes(), ImageFormat.QCOW2, f"backing file, '{base}'")


FOREIGN = {
    "vmdk": ("VMDK", "vmdk"),
    "streamOptimized": ("VMDK", "vmdk", "-o", "subformat=streamOptimized"),
    "vpc": ("VHD", "vpc"),
    "vhdx": ("VHDX", "vhdx"),
    "vdi": ("VDI", "vdi"),
    "qed": ("QED", "qed"),
    "qcow": ("QCOW version 1", "qcow"),
    "parallels": ("a Parallels disk", "parallels"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_formats(folder: Path, name: str) -> None:
    """They are refused by name, whatever they are said to be (`test_refusals` has them all)."""
    kind, driver, *flags = FOREIGN[name]
    file = converted(folder, driver, *flags).read_bytes()
    for said in (ImageFormat.RAW, ImageFormat.QCOW2):
        hint = must_be_refused(folder, file, said, f"it is {kind}, not {said}")
        assert hint == "bmsctl image import converts it"


def test_fixed_vhd(folder: Path) -> None:
    """It is a raw disk with a footer, which comes last: then it is refused, and cannot boot."""
    file = converted(folder, "vpc", "-o", "subformat=fixed,force_size").read_bytes()
    with full_disk(folder, file, ImageFormat.RAW) as step:
        with pytest.raises(ImageRefused, match="it is VHD, not raw"):
            write_image(host(), step, lambda *_: None)

        assert cannot_boot((folder / "disk").read_bytes()) and not list(folder.glob("*.head"))
