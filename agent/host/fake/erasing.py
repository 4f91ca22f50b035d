# SPDX-License-Identifier: Apache-2.0
"""Drives that can forget, and the fake door that tells them to: `machine.minds` has one by node.

A mind answers what recorded bytes cannot, since it changes: locked or not, how far a sanitize is. It does as it is
told, takes its time by the machine's clock, goes on after a power cut, and can be told to lie or to break.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from hashlib import shake_256
from typing import TYPE_CHECKING, Protocol

from agent.errors import DeviceError
from agent.host.fake.disk import FakeDisk
from agent.host.fake.faults import FakeDoor, counted

if TYPE_CHECKING:
    from agent.host.fake.machine import Machine

CAPACITIES = {"protected area": 0x27, "max address": 0x78, "overlay": 0xB1}
NO_SUCH = "Inappropriate ioctl for device"


class Mind(Protocol):
    """What is inside a drive."""

    def answer(self, question: str) -> bytes | None:
        """To a question of `doors.Drives`, in the words of `FakeDrives`; `None`: as recorded."""
        ...

    def order(self, name: str, *words: int | bytes) -> None:
        """One of `doors.Erasers`. Raises `DeviceError`."""
        ...


class FakeErasers(FakeDoor):
    """`doors.Erasers`: a drive without a mind knows no such orders."""

    noun = "erasers"
    failure = DeviceError

    @counted
    def nvme_format(self, node: str, namespace: int, cdw10: int, timeout_s: float) -> None:
        """To the mind."""
        self._order(node, "nvme_format", namespace, cdw10)

    @counted
    def nvme_sanitize(self, node: str, cdw10: int) -> None:
        """To the mind."""
        self._order(node, "nvme_sanitize", cdw10)

    @counted
    def ata_sanitize(self, node: str, feature: int, key: int, count: int) -> None:
        """To the mind."""
        self._order(node, "ata_sanitize", feature, key, count)

    @counted
    def ata_security(self, node: str, command: int, block: bytes, timeout_s: float) -> None:
        """To the mind."""
        self._order(node, "ata_security", command, block)

    @counted
    def ata_show(self, node: str, question: int, last: int) -> None:
        """To the mind."""
        self._order(node, "ata_show", question, last)

    @counted
    def scsi_sanitize(self, node: str, word: int) -> None:
        """To the mind."""
        self._order(node, "scsi_sanitize", word)

    @counted
    def discard(self, node: str, offset_bytes: int, length_bytes: int) -> None:
        """Every disk of a machine takes this hint, and follows it."""
        disk = self.machine.disk(node)
        if disk is None:
            raise DeviceError(f"discarding what is on {node}", "No such file or directory")
        disk.zero(offset_bytes, length_bytes)

    def _order(self, node: str, name: str, *words: int | bytes) -> None:
        mind = self.machine.minds.get(node)
        if mind is None:
            raise DeviceError(f"telling {node} to forget ({name})", NO_SUCH)
        mind.order(name, *words)


@dataclass
class Medium(FakeDisk):
    """What a mind keeps its data on. `shut` is why nothing can be read or written."""

    shut: str = ""

    def read(self, offset: int, length: int) -> bytes:
        """Unless it is shut."""
        self._must_be_open("reading")
        return super().read(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """Unless it is shut."""
        self._must_be_open("writing")
        super().write(offset, data)

    def zero(self, offset: int, length: int) -> None:
        """Unless it is shut."""
        self._must_be_open("zeroing")
        super().zero(offset, length)

    def _must_be_open(self, doing: str) -> None:
        if self.shut:
            raise DeviceError(f"{doing} the medium", self.shut)


@dataclass
class Sanitizer:
    """What all minds have: a medium, time that an order takes, and ways to go wrong."""

    machine: Machine
    medium: Medium
    takes_s: float = 0.0
    keeps: bool = False
    """It says that it has forgotten, and has not."""
    leaves_noise: bool = False
    """Forgetting a key leaves what nobody can read, not zeroes."""
    breaks: int = 0
    """So many sanitizes end in an error, which shuts the drive."""
    unreadable_after: bool = False
    gone_at: float | None = None
    """So far into a sanitize it vanishes."""
    orders: list[str] = field(default_factory=list)
    began_s: float | None = None
    succeeded: bool = False
    failed: bool = False
    restricted: bool = False
    """The last sanitize was begun without the word by which a drive can be opened again."""

    def answer(self, question: str) -> bytes | None:
        """Nothing but what is recorded."""
        return None

    def order(self, name: str, *words: int | bytes) -> None:
        """None is known."""
        raise DeviceError(f"telling a drive to forget ({name})", NO_SUCH)

    def begin(self, name: str, *, restricted: bool = False) -> None:
        """A sanitize. After one that failed and was restricted the drive takes no other that is not. Raises
        `DeviceError`.
        """
        if self.failed and self.restricted and not restricted:
            raise DeviceError(name, "aborted: the last sanitize failed, and was restricted")
        self.orders.append(f"{name}, restricted" if restricted else name)
        self.began_s, self.succeeded, self.failed = self.machine.uptime_s, False, False
        self.restricted, self.medium.shut = restricted, "sanitize in progress"

    def leave(self) -> None:
        """The failure behind. Raises `DeviceError` where the sanitize that failed was restricted."""
        self.orders.append("leave")
        if self.failed and self.restricted:
            raise DeviceError("leaving the failure", "aborted: the last sanitize was restricted")
        if self.failed:
            self.failed, self.medium.shut = False, ""

    def progress(self) -> float | None:
        """Of one that is under way; `None` if none is. Raises `DeviceError` for a drive that is gone."""
        if self.began_s is None:
            return None
        done = (self.machine.uptime_s - self.began_s) / self.takes_s if self.takes_s else 1.0
        if self.gone_at is not None and done >= self.gone_at:
            self.medium.shut = "No such device"
            raise DeviceError("asking the drive", "No such device")
        if done < 1:
            return done
        self.began_s, self.failed = None, self.breaks > 0
        self.succeeded, self.breaks = not self.failed, max(0, self.breaks - 1)
        self.medium.shut = "the last sanitize failed" if self.failed else ""
        if self.succeeded:
            self.forget()
        return None

    def forget(self) -> None:
        """At once, and durably; or not at all, whatever it says."""
        if self.keeps:
            return
        self.medium.zero(0, self.medium.size_bytes)
        if self.leaves_noise:
            self.medium.write(0, shake_256(f"noise {len(self.orders)}".encode()).digest(self.medium.size_bytes))
        self.medium.flush()
        if self.unreadable_after:
            self.medium.shut = "Unrecovered read error"

    def reboot(self, seconds: float) -> None:
        """The machine's clock begins anew, and some time has passed: a sanitize goes on all the while."""
        if self.began_s is not None:
            self.began_s -= self.machine.uptime_s + seconds
        self.machine.uptime_s = 0.0


@dataclass
class NvmeMind(Sanitizer):
    """A drive with one namespace, or several."""

    powers: int = 3
    """SANICAP: 1 crypto, 2 block."""
    fna: int = 4
    oacs: int = 2
    action: int = 0
    cmic: int = 0
    active: tuple[int, ...] = (1,)
    boot: tuple[bytes, ...] = ()  # what is in its boot partitions, which no order erases

    def answer(self, question: str) -> bytes | None:
        """Identify, and the sanitize log (NVMe Base 2.0, figure 294)."""
        match question:
            case "identify 1 0":
                raw = bytearray(4096)
                raw[256:258], raw[524], raw[328:332] = (
                    self.oacs.to_bytes(2, "little"),
                    self.fna,
                    bytes([self.powers, 0, 0, 0]),
                )
                raw[76] = self.cmic
                raw[80:84] = (0x20000 if self.boot else 0x10400).to_bytes(4, "little")
                return bytes(raw)
            case "identify 2 0":
                return b"".join(one.to_bytes(4, "little") for one in self.active).ljust(4096, b"\0")
            case "identify 0 1":
                raw = bytearray(4096)
                raw[0:8] = (self.medium.size_bytes // 512).to_bytes(8, "little")
                raw[128 + 2] = 9
                return bytes(raw)
            case piece if piece.startswith("boot ") and self.boot:
                number, offset, length = map(int, piece.split()[1:])
                page = struct.pack("<BxxxI8x", 0x15, len(self.boot[0]) // 0x20000) + self.boot[number]
                return page[offset : offset + length]
            case "log 129" if self.powers:
                done = self.progress()
                state = 2 if done is not None else 1 | 1 << 8 if self.succeeded else 3 if self.failed else 0
                told = (int((1.0 if done is None else done) * 0xFFFF), state, self.action)
                return struct.pack("<HHI", *told).ljust(512, b"\0")
        return None

    def order(self, name: str, *words: int | bytes) -> None:
        """Format, Sanitize."""
        match name, words:
            case "nvme_format", (_, int(word)) if (
                not self.failed and self.oacs & 2 and (word >> 9 & 7 != 2 or self.fna & 4)
            ):
                self.orders.append(f"format {word >> 9 & 7}")
                if word >> 9 & 7:
                    self.forget()
            case "nvme_sanitize", (int(word),) if self.powers & {4: 1, 2: 2}.get(word & 7, 0):
                self.begin(f"sanitize {word & 7}", restricted=not word & 8)
                self.action = word
            case "nvme_sanitize", (1,):
                self.leave()
            case _:
                raise DeviceError(name, "its status is 0x4002")


@dataclass
class AtaMind(Sanitizer):
    """A drive with the Security feature set, and perhaps Sanitize."""

    sanitizes: int = 0
    """Word 59: 0x3000 crypto, 0x9000 block."""
    has_enhanced: bool = True
    is_frozen: bool = False
    password: bytes | None = None
    is_locked: bool = False
    is_prepared: bool = False
    made_with: int = 0  # sectors, if it has a word for how many it was made with
    feature: str = "protected area"
    """By which it hides the rest: also "max address", "overlay"."""
    keeps_hidden: bool = False
    """It takes no order that would show the rest, or says that it did."""
    hidden: bytes = b""
    """What is there, behind its end."""

    def __post_init__(self) -> None:
        """A drive with a password is locked when it is switched on."""
        self.shows = self.medium.size_bytes // 512
        self.lock()

    def lock(self) -> None:
        """As a power cycle does."""
        self.is_locked, self.is_prepared = self.password is not None, False
        self.medium.shut = "the drive is locked" if self.is_locked else ""

    def answer(self, question: str) -> bytes | None:
        """IDENTIFY, and the registers of SANITIZE STATUS EXT."""
        if question == "ata":
            flags = (1 | (self.password is not None) << 1 | self.is_locked << 2 | self.is_frozen << 3
                     | self.has_enhanced << 5)  # fmt: skip
            raw = bytearray(512)
            raw[118:120], raw[256:258] = self.sanitizes.to_bytes(2, "little"), flags.to_bytes(2, "little")
            raw[178:182] = bytes([2, 0, 1, 0])
            raw[166:168], raw[200:208] = b"\x00\x44", self.shows.to_bytes(8, "little")
            raw[173] = 0x80
            if self.made_with:
                at, bit = {"protected area": (165, 0x04), "max address": (239, 0x41), "overlay": (167, 0x4C)}[
                    self.feature
                ]
                raw[at] |= bit
            return bytes(raw)
        if question == f"capacity {CAPACITIES[self.feature]}" and self.made_with:
            return self._capacity()
        if question == "sanitize" and self.sanitizes:
            done = self.progress()
            if self.failed:
                return bytes([0, 0, 0, 1, 4])  # aborted, and why
            count = 1 << 14 if done is not None else 1 << 15 if self.succeeded else 0
            return count.to_bytes(2) + int((1.0 if done is None else done) * 0xFFFF).to_bytes(2)
        return None

    def order(self, name: str, *words: int | bytes) -> None:
        """Sanitize, and the commands of Security (ACS-4, section 4.18)."""
        match name, words:
            case "ata_sanitize", (int(feature), int(key), int(count)) if self._can(feature, key):
                self.begin(f"sanitize {feature:#x}", restricted=not count & 0x10)
            case "ata_sanitize", (0, 0, 1):
                self.leave()
            case "ata_security", (int(command), bytes(block)) if not self.is_frozen and not self.failed:
                self.orders.append(f"security {command:#x}")
                self._secured(command, block)
            case "ata_show", (int(question), int(last)) if question == CAPACITIES[self.feature]:
                self._show(last + 1)
            case _:
                raise DeviceError(name, "the drive aborted it")

    def _show(self, sectors: int) -> None:
        """For good. The kernel sees it when it looks again."""
        if self.is_frozen or self.is_locked or sectors != self.made_with:
            raise DeviceError("showing all of it", "the drive aborted it")
        self.orders.append("show")
        if self.keeps_hidden:
            return
        start = self.medium.size_bytes
        self.shows, self.medium.size_bytes = sectors, sectors * 512
        self.medium.write(start, self.hidden)
        self.medium.flush()

    def _capacity(self) -> bytes:
        last = self.made_with - 1
        if self.feature != "overlay":
            return last.to_bytes(6, "little")
        raw = bytearray(512)
        raw[6:14], raw[510] = last.to_bytes(8, "little"), 0xA5
        raw[511] = -sum(raw) % 256
        return bytes(raw)

    def _can(self, feature: int, key: int) -> bool:
        known = {0x11: (0x2000, 0x43727970), 0x12: (0x8000, 0x426B4572)}.get(feature)
        return known is not None and bool(self.sanitizes & known[0]) and key == known[1] and not self.is_locked

    def _secured(self, command: int, block: bytes) -> None:
        prepared, self.is_prepared = self.is_prepared, False
        is_right = self.password is not None and block[2:34] == self.password
        match command:
            case 0xF1 if not self.is_locked:
                self.password = block[2:34]
            case 0xF2 if is_right:
                self.is_locked, self.medium.shut = False, ""
            case 0xF3:
                self.is_prepared = True
            case 0xF4 if prepared and is_right:
                self.password, self.is_locked, self.medium.shut = None, False, ""
                self.forget()
            case 0xF6 if is_right and not self.is_locked:
                self.password = None
            case _:
                raise DeviceError(f"security {command:#x}", "the drive aborted it")


@dataclass
class ScsiMind(Sanitizer):
    """A disk with SANITIZE."""

    actions: tuple[int, ...] = (2, 3)

    def answer(self, question: str) -> bytes | None:
        """REPORT SUPPORTED OPERATION CODES, and the sense."""
        if question.startswith("supports 72 "):
            return bytes([0, 3 if int(question.split()[2]) in self.actions else 1, 0, 10])
        if question != "sense":
            return None
        done = self.progress()
        if done is not None:
            return bytes([0x72, 2, 0x04, 0x1B, 0, 0, 0, 8, 2, 6, 0, 0, 0x80, *int(done * 0xFFFF).to_bytes(2), 0])
        return bytes([0x72, 3, 0x31, 0x03, 0, 0, 0, 0]) if self.failed else bytes([0x72, 0, 0, 0, 0, 0, 0, 0])

    def order(self, name: str, *words: int | bytes) -> None:
        """SANITIZE."""
        match name, words:
            case "scsi_sanitize", (int(word),) if word & 0x80 and word & 0x1F in self.actions:
                self.begin(f"sanitize {word & 0x1F}", restricted=not word & 0x20)
            case "scsi_sanitize", (0x1F,):
                self.leave()
            case _:
                raise DeviceError(name, "it refused (sense 7205200000000000)")
