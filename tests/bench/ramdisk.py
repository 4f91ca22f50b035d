# SPDX-License-Identifier: Apache-2.0
"""What a ramdisk costs until Ironic has heard of it, and whether it does its work in a small machine: ours, and that of
ironic-python-agent (`ipa_ramdisk`), by turns in the same machine, under the same Ironic.

CPU is QEMU's, which emulates the machine's one processor and sleeps when that one does. The kernel's start is what its
EFI stub prints once the initrd is in memory; fetching it is not counted.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import artifacts
from lab.machine import MachineSpec
from tests.bench import small
from tests.bench.bars import MB, Bar, end, ratio_bar
from tests.bench.files import REPOSITORY, say
from tests.bench.node import HEARD, STATE_S, Words, moment, node

MEMORY_MIB = 3072
"""Enough for either: IPA's documentation asks for 1.5 GB at least."""
STARTED = b"EFI stub: Loaded initrd"
BOOT_S = 900
CPU, BYTES = 1 / 3, 1 / 2


@dataclass(frozen=True)
class Start:
    """From the kernel's start to the first heartbeat."""

    wall_s: float
    cpu_s: float


def main(rounds: int, *, as_json: bool) -> None:
    """Print the bars; status 1 if one was missed."""
    ramdisks = {"ours": artifacts.ramdisk(), "ironic-python-agent": ipa_ramdisk()}
    end([*comparison(ramdisks, max(rounds, 1)), *small.bars(ramdisks)], as_json=as_json)


def ipa_ramdisk() -> Path:
    """Built, if it is not there."""
    argv = [str(REPOSITORY / "tests/bench/ipa_ramdisk")]
    done = subprocess.run(argv, check=True, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.split()[-1])


def comparison(ramdisks: dict[str, Path], rounds: int) -> Iterator[Bar]:
    """By turns."""
    sizes = {name: (folder / "initrd").stat().st_size for name, folder in ramdisks.items()}
    starts: dict[str, list[Start]] = {name: [] for name in ramdisks}
    for number in range(rounds):
        for name, folder in ramdisks.items():
            one = start_of(folder)
            starts[name].append(one)
            say(f"round {number + 1} of {rounds}: {name}: {one.wall_s:.1f} s, of CPU {one.cpu_s:.1f} s")
    ours, ipa = starts.values()
    for what, limit in (("cpu_s", CPU), ("wall_s", float("inf"))):
        pairs = [(getattr(a, what), getattr(b, what)) for a, b in zip(ours, ipa, strict=True)]
        yield ratio_bar(f"to the first heartbeat, {what}: ours / ironic-python-agent", pairs, limit)
    our_bytes, ipa_bytes = sizes.values()
    say(f"initrd: {our_bytes / MB:.1f} MB, ironic-python-agent's {ipa_bytes / MB:.1f} MB")
    yield Bar("bytes of the initrd: ours / ironic-python-agent", our_bytes / ipa_bytes, BYTES)


def start_of(ramdisk: Path) -> Start:
    """One boot, as cleaning begins."""
    with node(ramdisk, MachineSpec(memory_mib=MEMORY_MIB)) as (site, api, uuid):
        heard = Words(site.controller.log)
        api.order(uuid, "provide")
        api.wait(uuid, "clean wait", STATE_S)
        began_s, began_cpu_s = moment(site, Words(site.machine.console_log), STARTED, BOOT_S)
        ended_s, ended_cpu_s = moment(site, heard, HEARD, BOOT_S)
    return Start(ended_s - began_s, ended_cpu_s - began_cpu_s)
