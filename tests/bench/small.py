# SPDX-License-Identifier: Apache-2.0
"""A machine with 768 MB of memory gets an image whose file alone is larger, of a disk of 16 GiB: under real Ironic, by
our ramdisk and by that of ironic-python-agent. What became of it, and how much memory was left at the worst moment.
"""

from __future__ import annotations

import random
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from lab.daemon import tail
from lab.fault import LabFault
from lab.firmware import Firmware
from lab.ironic import FILES_URL, Ironic
from lab.machine import DiskSpec, Machine, MachineSpec
from lab.site import Site
from tests.bench.bars import MB, Bar
from tests.bench.files import CACHE, say
from tests.bench.node import APPEND, HEARD, STATE_S, Words, moment, node
from tests.ironic.image import MIB, Image
from tests.loops import command

MEMORY_MIB = 768
VIRTUAL_MIB, PIECES, RAW_MIB = 16 << 10, 1000, 1536
DISK = DiskSpec(name="system", bus="scsi", size_gib=17, serial="SMALL1", wwn="0x5000c500a1b2c3d4")
DEPLOY_S, BOOT_S = 1500, 600
SPACE_BYTES = 30 << 30
"""What is zeroed on the machine's disk takes space here (QEMU zeroes a range of its file, and punches no hole)."""
PROMPT_S, AGAIN_S = 2, 1
COMPLAINTS = re.compile(r"(?:EFI stub: ERROR: Failed|Kernel panic|Initramfs unpacking failed|Out of memory).*")
LOWEST = (
    "lowest=999999999; while sleep 0.5; do while read -r key value unit; do "
    "if [ $key = MemAvailable: ] && [ $value -lt $lowest ]; then lowest=$value; echo at least $value.; fi; "
    "done </proc/meminfo; done\n"
)
"""For a shell; its own work is done by the shell itself, but for the pause."""


@dataclass(frozen=True)
class Outcome:
    """`fault` is empty if the node ended ACTIVE."""

    fault: str
    wall_s: float
    lowest_kib: int | None = None


def bars(ramdisks: Mapping[str, Path]) -> Iterator[Bar]:
    """A bar for ours; what IPA does with the same is only told."""
    if shutil.disk_usage(CACHE).free < SPACE_BYTES:
        raise LabFault(f"deploying in a small machine: it takes {SPACE_BYTES >> 30} GiB in {CACHE}, which is too full")
    with tempfile.TemporaryDirectory(dir=CACHE / "bench") as folder:
        for file in (large_qcow2, large_raw):
            image = file(Path(folder), ramdisks["ours"] / "vmlinuz")
            what = f"{image.name}, {image.stat().st_blocks * 512 / MB:.0f} MB of it data"
            for name, ramdisk in ramdisks.items():
                outcome = deployed(ramdisk, image)
                left = f", at least {outcome.lowest_kib / 1024:.0f} MiB were left" if outcome.lowest_kib else ""
                say(f"{MEMORY_MIB} MiB: {name}: {what}: {outcome.fault or 'active'}: {outcome.wall_s:.0f} s{left}")
                limit = 0.0 if name == "ours" else float("inf")
                yield Bar(f"{MEMORY_MIB} MiB, {image.name}, {name}: failed", float(bool(outcome.fault)), limit)
            image.unlink()


def large_qcow2(folder: Path, loader: Path) -> Path:
    """A thousand MiB that nobody can pack, spread over a disk of 16 GiB."""
    raw, file = folder / "large.raw", folder / "large.qcow2"
    content = random.Random(5)
    shutil.copyfile(Image(folder, loader).raw, raw)
    with raw.open("r+b") as disk:
        disk.truncate(VIRTUAL_MIB * MIB)
        for place in range(1, PIECES + 1):
            disk.seek(place * (VIRTUAL_MIB // (PIECES + 1)) * MIB + 512 * place)
            disk.write(content.randbytes(MIB))
    command("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(file))
    raw.unlink()
    return file


def large_raw(folder: Path, loader: Path) -> Path:
    """Every byte of it goes through the machine: twice its memory is enough."""
    raw = folder / "image.raw"
    content = random.Random(6)
    shutil.copyfile(Image(folder, loader).raw, raw)
    with raw.open("r+b") as disk:
        disk.seek(0, 2)
        while disk.tell() < RAW_MIB * MIB:
            disk.write(content.randbytes(MIB))
    return raw


def deployed(ramdisk: Path, image: Path, firmware: Firmware = Firmware.UEFI) -> Outcome:
    """Deployed by Ironic, from available to active."""
    began_s = time.monotonic()
    spec = MachineSpec(memory_mib=MEMORY_MIB, disks=(DISK,), firmware=firmware)
    with node(ramdisk, spec, f"{APPEND} bms.shell", automated_clean=False) as (site, api, uuid):
        shutil.copyfile(image, site.controller.served / image.name)
        api.order(uuid, "provide")
        api.wait(uuid, "available", STATE_S)
        instance = {
            "image_source": f"{FILES_URL}/{image.name}",
            "image_os_hash_algo": "sha256",
            "image_os_hash_value": Image.digest(image),
            "root_device": {"wwn": DISK.wwn},
        }
        api.set(uuid, instance_info=instance)
        with lowest(site.machine) as heard:
            fault = ""
            try:
                words = Words(site.controller.log)
                api.order(uuid, "active")
                moment(site, words, HEARD, BOOT_S)
                api.wait(uuid, "active", DEPLOY_S, poll_s=2)
            except LabFault as error:
                fault = f"{str(error).splitlines()[0]}; its console: {last_words(site)}"
        return Outcome(fault, time.monotonic() - began_s, min(heard, default=None))


def last_words(site: Site[Ironic]) -> str:
    """What the kernel complained of, or else the console's last line."""
    said = tail(site.machine.console_log, 3000)
    complaints = COMPLAINTS.findall(said)
    return str(complaints[-1] if complaints else said.rstrip().rpartition("\n")[2])[-200:]


@contextmanager
def lowest(machine: Machine) -> Iterator[list[int]]:
    """Fills with KiB of available memory, each less than the one before, as a shell in the machine tells them."""
    over, heard = Event(), list[int]()
    thread = Thread(target=lambda: _listen(machine, heard, over), name="memory")
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join()


def _listen(machine: Machine, heard: list[int], over: Event) -> None:
    while not over.wait(AGAIN_S):
        with suppress(OSError), machine.shell() as door:
            door.settimeout(PROMPT_S)
            door.sendall(b"\n")
            if _heard(door, b"# "):
                door.sendall(LOWEST.encode())
                _follow(door, heard, over)


def _heard(door: socket.socket, words: bytes) -> bool:
    said = b""
    while words not in said and (more := door.recv(4096)):  # silence, or an end, ends this try
        said += more
    return words in said


def _follow(door: socket.socket, heard: list[int], over: Event) -> None:
    said = b""
    while not over.is_set():
        with suppress(TimeoutError):
            more = door.recv(4096)
            if not more:
                return
            said = (said + more)[-4096:]
            heard.extend(int(found) for found in re.findall(rb"at least (\d+)\.", said))
            said = said.rpartition(b".")[2]
