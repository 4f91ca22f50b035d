# SPDX-License-Identifier: Apache-2.0
"""The disk of the laboratory does what it says: QEMU's own tools write to it, and the power goes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from random import Random

import pytest

import tests.vm
from agent.host.fake.disk import SparseBytes
from tests.vm.cache import Flush, History, Write, mediums
from tests.vm.nbd import Command, DiskServer, serving_disk

MIB = 1 << 20
KIB = 1024


def io(server: DiskServer, *orders: str) -> subprocess.Popen[str]:
    """What qemu-io(1) is told, at work."""
    words = [word for order in orders for word in ("-c", order)]
    opened = f"driver=raw,file.driver=nbd,file.server.type=unix,file.server.path={server.path}"
    argv = ["qemu-io", "--image-opts", "-t", "writeback", *words, opened]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.root  # for QEMU's tools
def test_what_was_flushed_stays(tmp_path: Path, lot: Random) -> None:
    """Flushed, by itself or by FUA: there after any power cut. Not flushed: read back, and any part of it is lost. A
    write at which the power goes is never answered.
    """
    with serving_disk(MIB, tmp_path / "nbd") as server:
        server.goes_silent = lambda command, offset, _: command is Command.WRITE and offset == 512 * KIB
        orders = ("write -P 1 0 64k", "flush", "write -f -P 2 64k 64k", "write -P 3 128k 256k", "read -P 3 128k 256k")
        with io(server, *orders, "write -P 4 512k 64k", "flush") as client:
            assert server.silent.wait(30)
            client.kill()
            said = client.communicate()[0]
        cached = list(server.disk.cached)
        seen = server.disk.read(0, MIB)
        server.disk.cut_power(lot)
        server.power_back()
        with io(server, "read -P 1 0 64k", "read -P 2 64k 64k", "write -z 0 64k", "flush") as client:
            again, _ = client.communicate()
            assert client.returncode == 0 and "failed" not in again, again

    assert "failed" not in said and sum(one.length for one in cached) == 256 * KIB
    assert seen[128 * KIB : 384 * KIB] == b"\3" * (256 * KIB) and not any(seen[384 * KIB :])
    medium = server.disk.durable.read(0, MIB)
    assert not any(medium[: 64 * KIB]) and medium[64 * KIB : 128 * KIB] == b"\2" * (64 * KIB)
    assert set(medium[128 * KIB : 384 * KIB]) <= {0, 3} and not any(medium[384 * KIB :])


@pytest.mark.root
def test_errors(tmp_path: Path) -> None:
    """Where it is told to fail, the client hears of an I/O error, and nothing is written."""
    with serving_disk(MIB, tmp_path / "nbd") as server:
        server.fails = lambda command, offset, _: command is not Command.FLUSH and offset == 64 * KIB
        with io(server, "write -P 1 64k 4k", "read 64k 4k", "write -P 1 0 4k") as client:
            said, _ = client.communicate()

    assert said.count("Input/output error") == 2 and not any(server.disk.read(64 * KIB, MIB - 64 * KIB))
    assert server.disk.read(0, 4 * KIB) == b"\1" * (4 * KIB)


def test_mediums(lot: Random) -> None:
    """At each moment: all that was flushed by then, nothing that came later, and of the rest what the lot says."""
    first, second, third = (Write(at * 4096, 4096, bytes([at + 1]) * 4096) for at in range(3))
    history: History = [first, Flush(), second, third, Flush()]
    seen: dict[int, set[bytes]] = {moment: set() for moment in range(6)}
    for _ in range(100):
        for moment, medium in mediums(SparseBytes(), history, list(range(6)), lot):
            seen[moment].add(medium.read(0, 12288))

    one, rest = first.data or b"", bytes(8192)
    assert seen[0] == {bytes(12288)} and seen[2] == {one + rest}
    assert len(seen[1]) > 10 and all(medium[4096:] == rest for medium in seen[1])
    assert len(seen[4]) > 50 and all(medium[:4096] == one for medium in seen[4])
    assert seen[5] == {one + (second.data or b"") + (third.data or b"")}


def test_what_the_laboratory_names_is_there() -> None:
    """Each place where bad luck is tried elsewhere."""
    root, folder = Path(__file__).parents[1], Path()
    named = re.findall(r"(?:tests/\w+/)?test_\w+|tests/\w+", tests.vm.__doc__ or "")
    assert len(named) > 20
    for name in named:
        path = root.parent / name if "/" in name else folder / name
        if "/" not in name and not path.with_suffix(".py").exists():
            path = root / "vm" / name
        assert path.is_dir() or path.with_suffix(".py").exists(), name
        folder = path.parent
