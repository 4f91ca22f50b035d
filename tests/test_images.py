# SPDX-License-Identifier: Apache-2.0
"""The image builders, without building an image: what the cache goes by, the lock, the archives, the boot sector.

In: `images/` of this tree, or a copy in which one file is changed. Nothing but the last test needs root or a network;
that the images boot is for the lab's tests to say.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
INPUTS = ("agent", "images", "systemd", "pyproject.toml", "README.md", "LICENSE")
BUILD = ROOT / "images" / "build"

pytestmark = pytest.mark.commands


def bash(script: str, *arguments: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a bash script that may use the builders' functions, with their own strictness."""
    head = "set -euo pipefail; shopt -s inherit_errexit; for part in host cache initrd; do source {}/$part.sh; done\n"
    argv = ["bash", "-c", head.format(BUILD) + script, "test", *map(str, arguments)]
    env = os.environ | environment
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=60)


def key(tree: Path, *command: str) -> str:
    """The cache key that a builder names for this tree."""
    argv = [str(tree / command[0]), *command[1:], "--key"]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of everything that the builders read."""
    for name in INPUTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


# which of the two images a change of the file concerns
CONCERNS = {
    "agent/errors/root.py": {"images/ramdisk", "images/debian"},
    "pyproject.toml": {"images/ramdisk", "images/debian"},
    "images/build/agent.lock": {"images/ramdisk", "images/debian"},
    "images/build/bms-agent": {"images/ramdisk", "images/debian"},
    "images/build/ramdisk/modules": {"images/ramdisk"},
    "images/build/ramdisk/overlay/etc/systemd/network/50-dhcp.network": {"images/ramdisk"},
    "systemd/bms-agent-ramdisk.service": {"images/ramdisk"},
    "images/build/debian/packages": {"images/debian"},
    "images/build/debian/overlay/etc/cloud/cloud.cfg.d/90_bms.cfg": {"images/debian"},
    "systemd/bms-agent.service": {"images/debian"},
    "systemd/bms-agent-firewall.service": {"images/debian"},
    "systemd/bms-agent-controller.service": set(),
}


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    """The keys of this tree as it is."""
    return {builder: key(ROOT, builder) for builder in ("images/ramdisk", "images/debian")}


@pytest.mark.parametrize("path", CONCERNS)
def test_an_image_is_built_anew_when_what_it_is_made_of_changes(keys: dict[str, str], tree: Path, path: str) -> None:
    """A changed input gives another key to the images that it goes into, and to no other."""
    with (tree / path).open("a", encoding="utf-8") as file:
        file.write("# changed\n")

    assert {builder for builder in keys if key(tree, builder) != keys[builder]} == CONCERNS[path]


def test_the_same_content_elsewhere_has_the_same_key(keys: dict[str, str], tree: Path) -> None:
    """Neither the place of the tree, nor dates, nor byte code left lying about change a key."""
    (tree / "agent" / "__pycache__").mkdir()
    (tree / "agent" / "__pycache__" / "errors.cpython-313.pyc").write_bytes(b"left over")
    os.utime(tree / "agent" / "errors" / "root.py", (0, 0))

    assert {builder: key(tree, builder) for builder in keys} == keys


def test_every_option_of_an_image_is_in_its_key() -> None:
    """Two images that differ in suite, packages, name or size never share a cache entry."""
    options: tuple[list[str], ...] = (
        [],
        ["--suite", "bookworm"],
        ["--include", "nginx"],
        ["--name", "web"],
        ["--size", "4096"],
    )

    assert len({key(ROOT, "images/debian", *given) for given in options}) == len(options)


def test_an_unknown_option_is_refused() -> None:
    """A misspelt option builds nothing, and the answer shows what there is."""
    done = subprocess.run(
        [ROOT / "images" / "debian", "--siut"], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 1
    assert "unknown argument: --siut" in done.stderr
    assert "--suite SUITE" in done.stderr


FILL = 'fill() { echo "built" >>"$1/log"; echo noise; }; get() { cached kind key fill; }; get; get; cat "$(get)/log"'


def test_an_entry_is_built_once(tmp_path: Path) -> None:
    """The second request is answered from the cache; what the builder prints is not taken for the answer."""
    done = bash(FILL, BMS_AGENT_CACHE=str(tmp_path))

    entry = str(tmp_path / "kind" / "key")
    assert done.stdout.splitlines() == [entry, entry, "built"]
    assert done.stderr.count("noise") == 1


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Half an image is never found in the cache."""
    done = bash(
        'fill() { echo half >"$1/half"; false; echo whole; }; cached kind key fill', BMS_AGENT_CACHE=str(tmp_path)
    )

    assert done.returncode != 0
    assert [path.name for path in (tmp_path / "kind").iterdir()] == [".lock"]


def test_only_what_is_old_and_unused_is_dropped(tmp_path: Path) -> None:
    """Of many entries the newest four stay, and any that was asked for within two hours."""
    for number in range(8):
        entry = tmp_path / "kind" / f"entry{number}"
        entry.mkdir(parents=True)
        age_s = 60 * number if number < 6 else 86400 + number
        subprocess.run(["touch", f"--date=-{age_s} seconds", entry], check=True, timeout=60)
    bash("fill() { :; }; cached kind new fill", BMS_AGENT_CACHE=str(tmp_path))

    left = sorted(path.name for path in (tmp_path / "kind").iterdir() if path.is_dir())
    assert left == [*(f"entry{number}" for number in range(6)), "new"]


def pins() -> dict[str, str]:
    """name → version of the lock."""
    lines = (BUILD / "agent.lock").read_text(encoding="utf-8").splitlines()
    return dict(line.rstrip(" \\").lower().split("==") for line in lines if line[:1].isalpha())


def test_the_lock_satisfies_the_project() -> None:
    """Every dependency of pyproject.toml is pinned to a version that it allows: run ./images/build/lock.py agent."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    pinned = pins()

    assert [str(each) for each in wanted if not each.specifier.contains(pinned.get(each.name, "0"))] == []


def test_the_controllers_libraries_stay_outside() -> None:
    """No image carries what only the controller imports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = {Requirement(text).name for text in project["optional-dependencies"]["controller"]}

    assert extra
    assert extra & set(pins()) == set()


@pytest.mark.parametrize("lock", ["agent.lock", "ironic.lock"])
def test_every_pin_has_a_digest(lock: str) -> None:
    """What is installed is what was locked, whatever the index answers today."""
    entries = (BUILD / lock).read_text(encoding="utf-8").replace("\\\n", "").splitlines()

    assert [entry for entry in entries if not entry.startswith("#") and "--hash=sha256:" not in entry] == []


ARCHIVE = 'export SOURCE_DATE_EPOCH=1000000000; archive "$1" . | sha256sum'
needs_cpio = pytest.mark.skipif(
    not (shutil.which("cpio") and shutil.which("zstd")), reason="cpio and zstd are not installed"
)


@needs_cpio
def test_the_same_files_give_the_same_archive(tmp_path: Path) -> None:
    """Dates, the order of creation and inode numbers do not show in an initrd; contents do."""
    texts = {"b": "two", "a": "one", "c": "three"}
    for copy, names in (("first", "abc"), ("second", "cba"), ("other", "abc")):
        (tmp_path / copy).mkdir()
        for name in names:
            (tmp_path / copy / name).write_text(texts[name] + ("!" if copy == "other" else ""), encoding="utf-8")
    os.utime(tmp_path / "second" / "b", (1, 1))
    first, second, other = (bash(ARCHIVE, tmp_path / copy).stdout for copy in ("first", "second", "other"))

    assert first == second
    assert first != other


@needs_cpio
def test_an_initrd_does_not_begin_as_zstd(tmp_path: Path) -> None:
    """What is put first is a whole archive of its own, of blocks that let another follow, and the same every time."""
    first, again = (bash('empty_archive >"$1"', tmp_path / name).returncode for name in ("first", "again"))
    content = (tmp_path / "first").read_bytes()

    assert (first, again) == (0, 0)
    assert content == (tmp_path / "again").read_bytes()
    assert content.startswith(b"070701")
    assert content.rstrip(b"\0").endswith(b"TRAILER!!!")
    assert len(content) % 4 == 0


@pytest.mark.parametrize(("size_bytes", "status"), [(100, 0), (101, 1)])
def test_an_initrd_above_the_limit_is_refused(tmp_path: Path, size_bytes: int, status: int) -> None:
    """At the limit it passes; one byte more is an error that names both sizes."""
    (tmp_path / "initrd").write_bytes(bytes(size_bytes))
    done = bash('refuse_oversize "$1" 100', tmp_path / "initrd")

    assert done.returncode == status
    assert ("initrd has 101 bytes, the limit is 100" in done.stderr) == bool(status)


CORE_SECTOR, CORE_SECTORS = 2048, 4
BOOT_IMG = bytes(range(256)) * 2
CORE_IMG = struct.pack("<500xQHH", 2, 7, 0x820).ljust(1400, b"c")


def embed(disk: Path, core: bytes) -> subprocess.CompletedProcess[str]:
    """Run bootsector.py on a disk of 2 MiB."""
    directory = disk.parent
    (directory / "boot.img").write_bytes(BOOT_IMG)
    (directory / "core.img").write_bytes(core)
    disk.write_bytes(b"\xee" * (2 << 20))
    program = BUILD / "debian" / "bootsector.py"
    where = [str(CORE_SECTOR), str(CORE_SECTORS)]
    argv: list[str | Path] = [sys.executable, program, disk, directory / "boot.img", directory / "core.img", *where]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def test_a_bios_finds_its_way_to_grub(tmp_path: Path) -> None:
    """The boot code loads core.img's first sector, that one the rest; partition table and signature are as before."""
    disk = tmp_path / "disk"
    done = embed(disk, CORE_IMG)

    written = disk.read_bytes()
    core = written[CORE_SECTOR * 512 :]
    assert done.returncode == 0, done.stderr
    assert struct.unpack_from("<Q", written, 0x5C) == (CORE_SECTOR,)
    assert struct.unpack_from("<QHH", core, 500) == (CORE_SECTOR + 1, 2, 0x820)
    assert core[512:1400] == CORE_IMG[512:]
    assert written[440:512] == b"\xee" * 72
    assert core[3 * 512 :] == b"\xee" * (len(core) - 3 * 512)


def test_a_grub_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """A core.img larger than its partition would overwrite the next one."""
    disk = tmp_path / "disk"
    done = embed(disk, CORE_IMG.ljust(CORE_SECTORS * 512 + 1, b"c"))

    assert done.returncode != 0
    assert disk.read_bytes() == b"\xee" * (2 << 20)


DRIVERS = (
    "aacraid ahci hpsa megaraid_sas mpi3mr mpt3sas mptsas nvme nvme-tcp smartpqi sd_mod sr_mod lpfc qla2xxx",
    "be2net bnx2 bnx2x bnxt_en cxgb4 e1000e enic hinic i40e iavf ice igb igc ionic ixgbe mlx4_en mlx5_core",
    "nfp qede r8169 sfc tg3 ena virtio_net virtio_blk virtio_scsi vmxnet3 usb-storage usbhid ipmi_si ipmi_devintf",
    "ext4 xfs vfat isofs btrfs raid1 raid456 dm-mod dm-multipath bonding 8021q vxlan bridge iscsi_tcp loop",
    "vrf macvlan ifb nf_tables nft_ct nft_nat nft_chain_nat sch_htb sch_ingress cls_u32 act_mirred",
)
FILES = (
    "init",
    "usr/bin/bms-agent",
    "usr/lib/bms-agent/agent/cli/__init__.pyc",
    "usr/sbin/mkfs.vfat",
    "usr/bin/mcopy",
    "usr/bin/udevadm",
    "usr/bin/bash",
    "usr/lib/x86_64-linux-gnu/libnftables.so.1",
    "usr/sbin/modprobe",
)


ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878, section 3.1.1


def names_in(initrd: Path) -> Iterator[str]:
    """The names in all archives of an initrd (kernel: Documentation/driver-api/early-userspace/buffer-format.rst)."""
    content = initrd.read_bytes()
    compressed = content[content.index(ZSTD) :]
    data = subprocess.run(
        ["zstd", "--decompress"], input=compressed, capture_output=True, check=True, timeout=60
    ).stdout
    at = 0
    while (at := data.find(b"070701", at)) >= 0:
        size, name_size = int(data[at + 54 : at + 62], 16), int(data[at + 94 : at + 102], 16)
        end = at + 110 + name_size
        yield data[at + 110 : end - 1].decode()
        at = end + (-end % 4) + size


@pytest.mark.machine
def test_the_ramdisk_holds_what_servers_need() -> None:
    """The drivers of servers, the agent as byte code without its source, the commands that it runs; at most 60 MB."""
    built = subprocess.run([ROOT / "images" / "ramdisk"], stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    directory = Path(built.stdout.strip().splitlines()[-1])
    names = set(names_in(directory / "initrd"))
    drivers = {Path(name).stem for name in names if name.endswith(".ko")}

    assert (directory / "vmlinuz").stat().st_size > 0
    assert (directory / "initrd").stat().st_size <= 60_000_000
    assert set(" ".join(DRIVERS).split()) - drivers == set()
    assert set(FILES) - names == set()
    assert [name for name in names if name.endswith(".py")] == []
