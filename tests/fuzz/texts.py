# SPDX-License-Identifier: Apache-2.0
"""Texts: the kernel's, the operator's, and what was recorded of a machine."""

from __future__ import annotations

from agent.config import load
from agent.errors import ConfigError
from agent.host.fake.tree import parse, render
from agent.inventory.cpu import first_processor
from agent.inventory.disk_names import unescaped
from agent.inventory.disk_use import root_device
from agent.inventory.hardware import take_in_full
from agent.inventory.numa import numbers_in
from agent.model.frozen import decode
from agent.model.hardware import Hardware
from tests.fuzz.devices import RECORDED_MACHINE
from tests.fuzz.row import Row
from tests.machines import synthetic

SETTINGS = f'controller = "http://192.0.2.1:8480"\nlog_level = "info"\nimage_keys = ["{"A" * 43}="]\n'.encode()
MOUNTS = b"22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n23 22 0:5 / /proc rw - proc proc rw\n"


def text(raw: bytes) -> str:
    """As `Files.read_text` gives it."""
    return raw.decode(errors="replace")


def tree(raw: bytes) -> object:
    """A recorded machine's; written again, it is the same."""
    found = parse(text(raw))
    assert render(parse(render(found))) == render(found)
    return found


def processors(raw: bytes) -> object:
    """A list of few: a range may be as wide as it likes, a kernel's is not."""
    return numbers_in("cpulist", text(raw)[:12])


def trees() -> list[bytes]:
    """The beginnings of recorded ones."""
    names = ("qemu-q35", "synthetic-dell-r650", "synthetic-odd-disks")
    texts = [(synthetic.HERE / name / "tree.txt").read_text(encoding="utf-8") for name in names]
    return ["\n".join(one.splitlines()[:60]).encode() + b"\n" for one in texts]


def survey() -> bytes:
    """A machine's, as it is kept."""
    return take_in_full(RECORDED_MACHINE).model_dump_json().encode()


ROWS = {
    "recorded tree": Row(tree, trees),
    "settings": Row(lambda raw: load(text(raw)), lambda: [SETTINGS], (ConfigError,)),
    "mounts": Row(lambda raw: root_device(text(raw)), lambda: [MOUNTS]),
    "/proc/cpuinfo": Row(
        lambda raw: first_processor(text(raw)), lambda: [RECORDED_MACHINE.files.read_bytes("/proc/cpuinfo")], ()
    ),
    "list of processors": Row(processors, lambda: [b"0-3,8,10-11\n"]),
    "udev's escapes": Row(lambda raw: unescaped(text(raw)), lambda: [rb"A\x20B\x2fC\xc3\xa4"], ()),
    "inventory": Row(lambda raw: decode(Hardware, raw, "reading"), lambda: [survey()]),
}
