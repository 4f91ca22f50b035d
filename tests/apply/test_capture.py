# SPDX-License-Identifier: Apache-2.0
"""Capture on a fake machine: what gets into an image, what does not, and that the disk stays as it was."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from contextlib import suppress

import pytest
import zstandard

from agent.apply.capture import overlay
from agent.apply.capture.take import capture_disk, preview
from agent.errors import AgentError, CaptureRefused, DiskInUse, HostError
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine, Output, failing
from agent.model import chunked
from agent.model.disk import DiskIdentity
from agent.model.generalise.table import NAMES
from agent.model.partition_table import fit, partitions
from tests.apply import captured
from tests.apply.captured import DRIVE, ESP, OVERLAY, PLACE, ROOT, SECRET, SIZE, SWAP, server, step, used
from tests.apply.disks import MIB, disk_of, machine
from tests.model import disks

IMAGE = "/images/captured.bmi"
FORGET = {"forget": NAMES}


def unpacked(file: bytes) -> bytes:
    """By an ordinary zstd."""
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(file), read_across_frames=True).read()


def image_of(made: Machine) -> bytes:
    """The file that was made."""
    content = made.tree.entries[IMAGE]
    assert isinstance(content, bytes)
    return content


def manifest(file: bytes) -> chunked.Manifest:
    """Of an image."""
    place = chunked.place_of_manifest(file[-chunked.TAIL_BYTES :], len(file))
    return chunked.parse(chunked.unframe(memoryview(file)[place.offset : place.offset + place.length])[0])


def whole(disk: Iterable[int] | bytes) -> str:
    """Of all bytes."""
    return hashlib.sha256(bytes(disk)).hexdigest()


def before_and_after(made: Machine) -> str:
    """What is on the medium and in the cache of the server's disk."""
    disk = disk_of(made)
    return whole(disk.content.read(0, SIZE)) + whole(disk.durable.read(0, SIZE))


def test_allocated_bytes_alone() -> None:
    """The image has the tables, the files, the swap header and the boot code; of what was deleted it has nothing. It
    ends with root, its table is without the config drive, and it fits a disk of the same size that gets another."""
    made = server()
    before = before_and_after(made)
    result = capture_disk(FakeHost.of(made), step(), lambda *_: None)
    raw = unpacked(image_of(made))

    assert before_and_after(made) == before and len(raw) == result["image_bytes"] == DRIVE * MIB
    assert SECRET not in raw and b"boot code" in raw and b"SWAPSPACE2" in raw
    for name, at in (("fat16", ESP), ("ext4-1k", ROOT)):
        content, _ = disks.load(name)
        same = [raw[at * MIB + start :][:length] == content.read(start, length) for start, length in used(name)]
        assert all(same), "something that is in use is not in the image"
    assert [number for number, _, _ in partitions(raw[:MIB], 512)] == [1, 2, 3]
    assert fit(raw[:MIB], SIZE, 512, ()).kind == "gpt"
    assert result["sha256"] == manifest(image_of(made)).digest and result["warnings"] == "none"
    assert result["forgotten_files"] == 0 and int(result["allocated_bytes"]) < 15 * MIB


def test_the_config_drive_can_be_kept() -> None:
    """As it is, with its partition."""
    made = server()
    result = capture_disk(FakeHost.of(made), step(keep_drive=True), lambda *_: None)
    raw = unpacked(image_of(made))

    assert b"CONFIG-2" in raw and len(raw) == result["image_bytes"] == (DRIVE + 20) * MIB
    assert len(partitions(raw[:MIB], 512)) == 4 and b"root-not-last" in str(result["warnings"]).encode()


def test_it_forgets_on_a_copy() -> None:
    """Items are forgotten in memory, the image has that, the disk stays byte for byte what it was; nothing is left
    mounted or mapped."""
    made = server()
    before = before_and_after(made)
    result = capture_disk(FakeHost.of(made), step(**FORGET), lambda *_: None)
    raw = unpacked(image_of(made))

    assert before_and_after(made) == before
    assert raw[ROOT * MIB :].startswith(b"forgotten")
    assert result["forgotten_files"] == 2 and result["warnings"] == "none"
    assert manifest(image_of(made)).description.os == "Debian GNU/Linux 13 (trixie)"
    assert not left(made)
    options = {argv[4] for argv in made.commands if argv[0] == "mount"}
    assert options == {"nosuid,nodev,noexec"}
    assert (f"{OVERLAY}-p1", f"{PLACE}/boot/efi") in {argv[-2:] for argv in made.commands if argv[0] == "mount"}


def left(made: Machine) -> list[str]:
    """Mounts, mapped devices, and the store's file."""
    mapped = [node for node in made.disks if node.startswith("/dev/mapper")]
    return [
        *mapped,
        *(place for _, place in made.record.counts.mounts),
        *(["store"] if overlay.STORE in made.tree.entries else []),
    ]


def test_preview() -> None:
    """What would be forgotten, file by file; nothing is, and no image is made."""
    made = server()
    found = [str(action) for action in preview(FakeHost.of(made), step(**FORGET))]

    assert found == ["empty /etc/machine-id", "remove /etc/ssh/ssh_host_ed25519_key"]
    assert IMAGE not in made.tree.entries and not left(made)


def test_a_kept_item() -> None:
    """Only the items of the step are forgotten."""
    made = server()
    found = preview(FakeHost.of(made), step(forget=("ssh-host-keys",)))

    assert [action.item for action in found] == ["ssh-host-keys"]


def test_outside_of_a_ramdisk() -> None:
    """A stranger's filesystem is not mounted on a system that runs from a disk; as it is, the disk can be captured."""
    made = server()
    made.tree.put("/proc/self/mountinfo", b"1 1 254:0 / / rw - ext4 /dev/vda1 rw\n")
    with pytest.raises(HostError, match="runs from a disk") as error:
        capture_disk(FakeHost.of(made), step(**FORGET), lambda *_: None)

    assert "--no-generalise" in error.value.hint and not [argv for argv in made.commands if argv[0] == "mount"]
    assert capture_disk(FakeHost.of(made), step(), lambda *_: None)["sha256"]


def test_a_kernel_without_the_device_mapper() -> None:
    """A clear word of it, with what can be done."""
    made = server()
    made.programs["dmsetup"] = failing(1, "device-mapper: is not available")
    with pytest.raises(HostError, match="this kernel has none") as error:
        capture_disk(FakeHost.of(made), step(**FORGET), lambda *_: None)

    assert "--no-generalise" in error.value.hint and not left(made)
    bare = server(kernel=False)
    with pytest.raises(HostError):
        capture_disk(FakeHost.of(bare), step(**FORGET), lambda *_: None)


def test_a_store_that_was_too_small() -> None:
    """The kernel gives such a copy up; the capture ends with an error."""
    made = server()

    def overflowing(machine: Machine, argv: tuple[str, ...], stdin: str | None) -> Output:
        if argv[1] == "status":
            return Output(stdout="0 348160 snapshot Invalid\n")
        return captured.dmsetup(machine, argv, stdin)

    made.programs["dmsetup"] = overflowing  # type: ignore[assignment]
    with pytest.raises(HostError, match="more was changed"):
        capture_disk(FakeHost.of(made), step(**FORGET), lambda *_: None)
    assert not left(made)


@pytest.mark.parametrize(
    ("offset", "data", "code"),
    [
        (ROOT * MIB + 1024 + 0x3A, b"\0\0", "unclean"),
        (ROOT * MIB, b"LABELONE".ljust(24, b"\0") + b"LVM2 001", "lvm"),
        (ROOT * MIB + 4096, b"\xfc\x4e\x2b\xa9", "raid"),
        (SWAP * MIB + 4086, b"S1SUSPEND\0", "unclean"),
    ],
)
def test_refusals(offset: int, data: bytes, code: str) -> None:
    """What would make no good image is refused before anything is sent; forced, it is a warning."""
    made = server()
    disk_of(made).write(offset, data)
    with pytest.raises(CaptureRefused, match=code):
        capture_disk(FakeHost.of(made), step(), lambda *_: None)
    assert IMAGE not in made.tree.entries

    result = capture_disk(FakeHost.of(made), step(force=True), lambda *_: None)
    assert code in str(result["warnings"])


def test_unclean_is_read_whole_when_forced() -> None:
    """Its map of free space is not believed, so all of it is in the image, and the warning says so."""
    made = server()
    disk_of(made).write(ROOT * MIB + 1024 + 0x3A, b"\0\0")
    result = capture_disk(FakeHost.of(made), step(force=True), lambda *_: None)

    assert SECRET in unpacked(image_of(made)) and int(result["allocated_bytes"]) > 24 * MIB


def test_unclean_is_mended_by_mounting() -> None:
    """With generalising, a journal is replayed on the copy: what will be mounted is not refused."""
    made = server()
    place = ROOT * MIB + 1024 + 0x60
    clean = disk_of(made).read(place, 1)
    disk_of(made).write(place, bytes([clean[0] | 4]))  # RECOVER
    with pytest.raises(CaptureRefused, match="unclean"):
        capture_disk(FakeHost.of(made), step(), lambda *_: None)

    def replaying(machine: Machine, argv: tuple[str, ...], stdin: str | None) -> Output:
        machine.disks[OVERLAY].write(place, clean)
        return captured.umount(machine, argv, stdin)

    made.programs["umount"] = replaying  # type: ignore[assignment]
    assert capture_disk(FakeHost.of(made), step(**FORGET), lambda *_: None)["warnings"] == "none"


def test_a_journal_on_another_disk() -> None:
    """The kernel would write it there, on a disk that is no copy: not even forced is such a filesystem mounted."""
    made = server()
    compat = disk_of(made).read(ROOT * MIB + 1024 + 0x5C, 4)
    disk_of(made).write(ROOT * MIB + 1024 + 0x5C, bytes([compat[0] | 4]))  # HAS_JOURNAL
    disk_of(made).write(ROOT * MIB + 1024 + 0xE0, bytes(4))  # without an inode
    mounts: list[str] = []

    def mounting(machine: Machine, argv: tuple[str, ...], stdin: str | None) -> Output:
        mounts.append(argv[-2])
        return captured.mount(machine, argv, stdin)

    made.programs["mount"] = mounting  # type: ignore[assignment]
    with pytest.raises(CaptureRefused, match="journal"):
        capture_disk(FakeHost.of(made), step(**FORGET), lambda *_: None)
    with pytest.raises(CaptureRefused, match="other disks"):
        capture_disk(FakeHost.of(made), step(force=True, **FORGET), lambda *_: None)
    assert mounts == [] and not left(made)


def test_a_place_that_was_not_mounted() -> None:
    """Where files to be forgotten may lie in what is not mounted, it is refused; forced, it is a warning."""
    made = server()
    tree = dict(captured.TREE)
    tree["/etc/fstab"] += "/dev/mapper/vg-var /var auto defaults 0 2\n"
    disk_of(made).write(SWAP * MIB, b"LUKS\xba\xbe\0\2".ljust(4096, b"\0"))
    made.programs["mount"] = lambda machine, argv, stdin: captured.mount(machine, argv, stdin, tree)
    with pytest.raises(CaptureRefused, match="not-mounted: fstab mounts /dev/mapper/vg-var on /var"):
        capture_disk(FakeHost.of(made), step(**FORGET), lambda *_: None)
    with pytest.raises(CaptureRefused, match="not-mounted"):
        preview(FakeHost.of(made), step(**FORGET))
    assert IMAGE not in made.tree.entries and not left(made)

    result = capture_disk(FakeHost.of(made), step(force=True, **FORGET), lambda *_: None)
    assert "not-mounted" in str(result["warnings"])


def test_no_system_on_the_disk() -> None:
    """Where no root is found there is nothing to generalise, and that is said."""
    made = server()
    made.programs["mount"] = lambda machine, argv, stdin: Output()
    with pytest.raises(CaptureRefused, match="os-release") as error:
        capture_disk(FakeHost.of(made), step(**FORGET), lambda *_: None)
    assert "--no-generalise" in error.value.hint and not left(made)


def test_a_disk_in_use() -> None:
    """It is opened so that nobody can mount it meanwhile."""
    made = server()
    captured.set_mounts(made, (("/dev/sda", "/mnt"),))
    with pytest.raises(DiskInUse):
        capture_disk(FakeHost.of(made), step(), lambda *_: None)


def test_to_a_server() -> None:
    """By PUT; the job's progress ends at the image's end."""
    made = server()
    told: list[tuple[int, int | None]] = []
    url = "http://images.example/captured.bmi"
    result = capture_disk(FakeHost.of(made), step(to=url), lambda done, total, *_: told.append((done, total)))

    assert made.web[url].body[-4:] == chunked.SEEKABLE_MAGIC.to_bytes(4, "little")
    assert told[-1] == (DRIVE * MIB, DRIVE * MIB) and result["file_bytes"] == len(made.web[url].body)


def test_the_copy_has_half_of_the_memory() -> None:
    """What is changed on it has to fit in there."""
    made = server()
    counts = made.record.counts.model_copy(update={"memory_total_bytes": 3 * 1024 * MIB})
    made.record = made.record.model_copy(update={"counts": counts})
    stores: list[int] = []

    def attaching(machine: Machine, argv: tuple[str, ...], stdin: str | None) -> Output:
        if "--find" in argv:
            stores.append(len(FakeHost.of(machine).files.read_bytes(overlay.STORE)))
        return losetup(machine, argv, stdin)

    losetup, made.programs["losetup"] = made.programs["losetup"], attaching  # type: ignore[assignment]
    preview(FakeHost.of(made), step(**FORGET))

    assert stores == [1536 * MIB]


def test_an_end_that_is_asked_for() -> None:
    """A capture that nobody wants any more ends, and leaves nothing."""
    made = server()

    def enough(done: int, total: int | None, *_: object) -> None:
        raise HostError("carrying on", "recalled")

    with pytest.raises(HostError, match="recalled"):
        capture_disk(FakeHost.of(made), step(**FORGET), enough)
    assert IMAGE not in made.tree.entries and not left(made)


@pytest.mark.parametrize(("effect", "first"), [(Effect.FAIL, 0), (Effect.DIE_BEFORE, 1)])
def test_every_fault(effect: Effect, first: int) -> None:
    """Whatever door fails, or whenever the agent dies: the disk is as it was, no half image has the image's name, and
    the next run cleans up and finds the same."""
    faults = FaultPlan()
    capture_disk(FakeHost.of(server(), faults), step(**FORGET), lambda *_: None)
    reads = [at for at, call in enumerate(faults.calls, 1) if call.startswith("block.read")]
    places = [at for at in range(1, len(faults.calls) + 1) if at not in reads]
    for at in (places + reads[:: len(reads) // 5])[first::2]:
        made = server()
        with suppress(AgentError, Died):
            capture_disk(FakeHost.of(made, FaultPlan(at=at, effect=effect)), step(**FORGET), lambda *_: None)
        assert IMAGE not in made.tree.entries or manifest(image_of(made))
        assert not disk_of(made).cached
        assert len(preview(FakeHost.of(made), step(**FORGET))) == 2 and not left(made)


def test_a_disk_without_a_table() -> None:
    """A filesystem over the whole disk is captured, with a word about the config drive."""
    made = machine(64 * MIB)
    for offset, data in disks.pieces("ext4"):
        disk_of(made).write(offset, data)
    identity = DiskIdentity(path="/dev/sda", wwn=None, serial="S0", size_bytes=64 * MIB, logical_sector_bytes=512)
    result = capture_disk(FakeHost.of(made), step(disk=identity), lambda *_: None)

    assert "no-table" in str(result["warnings"]) and result["image_bytes"] == 64 * MIB
