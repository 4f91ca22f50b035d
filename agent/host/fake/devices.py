# SPDX-License-Identifier: Apache-2.0
"""The fake doors to devices that answer questions: disks, NICs' drivers, the TPM. They have learnt their answers.

`machine.drives` is by node and question ("/dev/nvme0n1", "identify 1"), `machine.drivers` by link and ethtool's number,
`machine.tpm` by command. What they were not taught they do not know.
"""

from __future__ import annotations

from hashlib import sha256

from agent.errors import DeviceError, SealRefused
from agent.host.device_doors import AtaAnswer
from agent.host.fake.faults import FakeDoor, counted

LINK_SETTINGS, SETTINGS_BYTES, WORDS_AT = 0x4C, 48, 15
NO_SUCH_VALUE = bytes.fromhex("80010000000a0000018b")


class FakeDrives(FakeDoor):
    """`doors.Drives`."""

    noun = "drives"
    failure = DeviceError

    @counted
    def nvme_identify(self, node: str, structure: int, namespace: int = 0) -> bytes | None:
        """As learnt."""
        return self._taught(node, f"identify {structure} {namespace}")

    @counted
    def nvme_log(self, node: str, page: int, length: int) -> bytes | None:
        """As learnt."""
        return self._taught(node, f"log {page}")

    @counted
    def nvme_boot_log(self, node: str, number: int, offset_bytes: int, length: int) -> bytes | None:
        """As learnt."""
        return self._taught(node, f"boot {number} {offset_bytes} {length}")

    @counted
    def ata_identify(self, node: str) -> bytes | None:
        """As learnt."""
        return self._taught(node, "ata")

    @counted
    def ata_smart(self, node: str, feature: int, log: int = 0) -> AtaAnswer | None:
        """As learnt; a status is the two registers."""
        found = self._taught(node, f"smart {feature} {log}" if log else f"smart {feature}")
        if found is None:
            return None
        return AtaAnswer(found) if len(found) > 2 else AtaAnswer(lba_mid=found[0], lba_high=found[1])

    @counted
    def ata_sanitize_status(self, node: str) -> AtaAnswer | None:
        """As learnt: the count, the lower half of the address, and, if it was aborted, the error."""
        found = self._taught(node, "sanitize")
        if found is None:
            return None
        count, mid, low, *error = int.from_bytes(found[:2]), *found[2:]
        return AtaAnswer(count=count, lba_mid=mid, lba_low=low, error=error[0] if error else 0)

    @counted
    def ata_capacity(self, node: str, command: int) -> AtaAnswer | None:
        """As learnt: the address, or the sector."""
        found = self._taught(node, f"capacity {command}")
        if found is None or len(found) > 6:
            return None if found is None else AtaAnswer(found)
        return AtaAnswer(
            lba_low=found[0], lba_mid=found[1], lba_high=found[2], lba_upper=int.from_bytes(found[3:6], "little")
        )

    @counted
    def scsi_log(self, node: str, page: int) -> bytes | None:
        """As learnt."""
        return self._taught(node, f"scsi {page}")

    @counted
    def scsi_supports(self, node: str, opcode: int, action: int) -> bytes | None:
        """As learnt."""
        return self._taught(node, f"supports {opcode} {action}")

    @counted
    def scsi_sense(self, node: str) -> bytes | None:
        """As learnt."""
        return self._taught(node, "sense")

    def _taught(self, node: str, question: str) -> bytes | None:
        mind = self.machine.minds.get(node)
        said = mind.answer(question) if mind is not None else None
        return self.machine.drives.get((node, question)) if said is None else said


class FakeEthtool(FakeDoor):
    """`doors.Ethtool`."""

    noun = "ethtool"
    failure = DeviceError

    def __call__(self, link: str, request: bytes) -> bytes | None:
        """One counted call."""
        return self.ask(link, int.from_bytes(request[:4], "little"), request)

    @counted
    def ask(self, link: str, command: int, request: bytes) -> bytes | None:
        """As learnt, cut to the room that there is, as the kernel does."""
        found = self.machine.drivers.get((link, command))
        if found is None:
            return None
        if command == LINK_SETTINGS and len(request) == SETTINGS_BYTES:  # no room for modes: how much there must be
            found = found[:WORDS_AT] + bytes([-found[WORDS_AT] & 0xFF])
        return found[: len(request)].ljust(len(request), b"\0")


class FakeTpm(FakeDoor):
    """`doors.Tpm`. Without a `tpm`, there is none."""

    noun = "tpm"
    failure = DeviceError

    @counted
    def is_there(self) -> bool:
        """If the machine has one."""
        return self.machine.tpm is not None

    @counted
    def ask(self, command: bytes) -> bytes:
        """As learnt."""
        return self._learnt().get(command, NO_SUCH_VALUE)

    @counted
    def clear(self, command: bytes) -> bytes:
        """As learnt; if that is a success, `machine.tpm_cleared` has what it answers from now on."""
        response = self._learnt().get(command, NO_SUCH_VALUE)
        if not int.from_bytes(response[6:10]):
            self._learnt().update(self.machine.tpm_cleared)
            self.machine.tpm_sealed.clear()
        return response

    @counted
    def seal(self, secret: bytes) -> bytes:
        """Of every secret another one, which says nothing about it."""
        self._learnt()
        sealed = b"sealed: " + sha256(secret).digest()
        self.machine.tpm_sealed[sealed] = secret
        return sealed

    @counted
    def unseal(self, sealed: bytes) -> bytes:
        """What this one has sealed since it was cleared."""
        self._learnt()
        if sealed not in self.machine.tpm_sealed:
            raise SealRefused("unsealing a key by the TPM", "the TPM answered 0x1df")
        return self.machine.tpm_sealed[sealed]

    def _learnt(self) -> dict[bytes, bytes]:
        if self.machine.tpm is None:
            raise DeviceError("asking the TPM", "No such file or directory")
        return self.machine.tpm
