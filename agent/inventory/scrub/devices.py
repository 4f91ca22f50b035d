# SPDX-License-Identifier: Apache-2.0
"""Identities in what devices answer, where they are bytes rather than text: disks, NICs' modules, BMC, firmware.

Pure. What is not known to be harmless is blanked: fields of the vendor's own, certificates. Checksums that were right
are right again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from uuid import UUID

from agent.errors import DecodeError
from agent.inventory.bmc import ADDRESS, GET_LAN_CONFIGURATION, MAC, TRANSPORT, V6_DYNAMIC, V6_STATIC
from agent.inventory.scrub.pseudonym import NAA_OUI, OUI, Pseudonyms
from agent.model.efi import MBR_KIND, NODE, Node, PartitionPath, decode_option, nodes, partition_of
from agent.model.hardware.ethtool import EEPROM_HEADER_BYTES, MODULE_EEPROM
from agent.model.hardware.tpm import GET_CAPABILITY
from agent.model.hardware.transceiver import CMIS, SMALL, WIDE

ATA_SERIAL, ATA_WWN, ATA_VENDOR = slice(20, 40), slice(216, 224), slice(258, 320)
NVME_SERIAL, NVME_VENDOR = slice(4, 24), slice(3072, 4096)
NGUID, EUI64, NAMESPACE_VENDOR = slice(104, 120), slice(120, 128), slice(384, 4096)
MODULE_SERIALS = {SMALL: slice(68, 84), WIDE: slice(196, 212), CMIS: slice(166, 182)}
MODULE_SUMS = {SMALL: (64, 95), WIDE: (192, 223), CMIS: (128, 222)}
"""From where to where, where the sum is: those whose range has the serial (SFF-8472, SFF-8636, CMIS)."""
NETWORKED = frozenset(
    {(3, 3), (3, 11), (3, 12), (3, 13), (3, 16), (3, 19), (3, 21), (3, 22), (3, 23), (3, 24), (3, 31)}
)
"""Nodes of device paths that name WWNs, MACs, addresses, serials, targets, URLs (UEFI 2.10, section 10.3.4)."""
FILE_PATH = (4, 4)
ENTRY = re.compile(r"Boot[0-9A-F]{4}")
LETTER = 0x78


def serials(drives: dict[tuple[str, str], bytes], drivers: dict[tuple[str, int], bytes]) -> Iterator[str]:
    """What disks and modules call themselves."""
    for (_, question), answer in drives.items():
        if question.startswith("identify 1"):
            yield answer[NVME_SERIAL].decode("ascii", errors="replace")
        if question == "ata":
            yield swapped(answer[ATA_SERIAL]).decode("ascii", errors="replace")
    for (_, command), answer in drivers.items():
        page = answer[EEPROM_HEADER_BYTES:]
        for kinds, place in MODULE_SERIALS.items():
            if command == MODULE_EEPROM and page[:1] and page[0] in kinds:
                yield page[place].decode("ascii", errors="replace")


def drive(names: Pseudonyms, question: str, answer: bytes) -> bytes:
    """What a disk answered."""
    new = bytearray(names.raw(answer))
    if question == "ata":
        new[ATA_SERIAL] = swapped(names.raw(swapped(answer[ATA_SERIAL])))
        new[ATA_WWN] = swapped(wide(names, swapped(answer[ATA_WWN]), NAA_OUI))
        new[ATA_VENDOR] = bytes(len(new[ATA_VENDOR]))
        if len(new) == 512 and new[510] == 0xA5:  # ACS-4, section 9.11.9: all bytes sum up to 0
            new[511] = -sum(new[:511]) & 0xFF if sum(answer) & 0xFF == 0 else new[511]
    if question.startswith("identify 1"):
        new[NVME_VENDOR] = bytes(len(new[NVME_VENDOR]))
    if question.startswith("identify 0"):
        new[NGUID], new[EUI64] = wide(names, answer[NGUID], (), OUI), wide(names, answer[EUI64], OUI)
        new[NAMESPACE_VENDOR] = bytes(len(new[NAMESPACE_VENDOR]))
    return bytes(new)


def driver(names: Pseudonyms, command: int, answer: bytes) -> bytes:
    """What a NIC's driver answered; the EEPROM of a module has a serial, and a sum over it."""
    new = bytearray(names.raw(answer))
    at = EEPROM_HEADER_BYTES
    for kinds, (start, end) in MODULE_SUMS.items():
        if command == MODULE_EEPROM and len(new) > at + end and new[at] in kinds:
            was_right = sum(answer[at + start : at + end]) & 0xFF == answer[at + end]
            new[at + end] = sum(new[at + start : at + end]) & 0xFF if was_right else new[at + end]
    return bytes(new)


def bmc(names: Pseudonyms, request: bytes, answer: bytes) -> bytes:
    """What the BMC answered: its addresses."""
    if request[:2] != bytes([TRANSPORT, GET_LAN_CONFIGURATION]) or len(request) < 4 or answer[:1] != b"\0":
        return answer
    new, parameter = bytearray(answer), request[3]
    if parameter == MAC and len(answer) >= 8 and any(answer[2:8]):
        new[2:8] = wide(names, answer[2:8], OUI)
    if parameter == ADDRESS and len(answer) >= 6:
        new[2:6] = packed(names, answer[2:6])
    if parameter in (V6_STATIC, V6_DYNAMIC) and len(answer) >= 20:
        new[4:20] = packed(names, answer[4:20])
    return bytes(new)


def tpm(answers: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """What a TPM says of its kind; its certificates are an identity, and no pseudonym of one would be any."""
    return {asked: told for asked, told in answers.items() if int.from_bytes(asked[6:10]) == GET_CAPABILITY}


def variable(names: Pseudonyms, name: str, raw: bytes) -> bytes:
    """What the firmware keeps. Of a boot entry the label, the path and nothing else: its data is a command line."""
    if not ENTRY.fullmatch(name):
        return names.raw(raw)
    try:
        option = decode_option(raw)
        path = b"".join(node(names, one) for one in nodes(option.path))
    except DecodeError:
        return bytes(LETTER if byte >= LETTER else byte for byte in raw)
    end = option.path[len(path) :][: NODE.size]
    new = {"label": names.text(option.label), "path": path + end, "data": bytes(len(option.data))}
    return option.model_copy(update=new).encode()


def node(names: Pseudonyms, one: Node) -> bytes:
    """One node of a device path, as it is kept."""
    kind, subkind, body = one
    partition = partition_of(one)
    if partition is not None:
        return signed(names, partition).encode()
    if (kind, subkind) == (3, 11) and len(body) > 6:
        body = wide(names, body[:6], OUI) + body[6:]
    elif (kind, subkind) in NETWORKED:
        body = bytes(LETTER for _ in body)
    elif (kind, subkind) == FILE_PATH and len(body) % 2 == 0:
        body = file_path(names, body)
    else:
        body = names.raw(body)
    return NODE.pack(kind, subkind, NODE.size + len(body)) + body


def file_path(names: Pseudonyms, body: bytes) -> bytes:
    """Of a loader, as UEFI writes it."""
    new = names.file_name(body.decode("utf-16-le", errors="surrogatepass"))
    return new.encode("utf-16-le", errors="surrogatepass")


def signed(names: Pseudonyms, partition: PartitionPath) -> PartitionPath:
    """A partition under its other name, which is that of the table on the disk, too."""
    if partition.table == MBR_KIND:
        return partition._replace(signature=number(names, partition.signature[:4]) + bytes(12))
    return partition._replace(signature=guid(names, partition.signature))


def guid(names: Pseudonyms, raw: bytes) -> bytes:
    """A GUID as UEFI keeps it."""
    return UUID(names.uuid(str(UUID(bytes_le=raw)))).bytes_le


def number(names: Pseudonyms, raw: bytes) -> bytes:
    """The number of an MBR, or of a FAT: little-endian, and named by its eight digits."""
    digits = raw[::-1].hex()
    return bytes.fromhex(names.of(digits))[::-1] if any(raw) else raw


def wide(names: Pseudonyms, raw: bytes, kept: Collection[int], kept_behind: Collection[int] = ()) -> bytes:
    """A name of eight or sixteen bytes, or a MAC."""
    digits = raw.hex()
    if not any(raw) or raw.count(0xFF) == len(raw):
        return raw
    if len(digits) > 12:
        names.learn_hex(digits, kept, kept_behind)
        return bytes.fromhex(names.text(digits))
    return bytes.fromhex(names.of(digits, kept))


def packed(names: Pseudonyms, raw: bytes) -> bytes:
    """An address."""
    return ip_address(names.address(str(ip_address(raw)))).packed


def swapped(raw: bytes) -> bytes:
    """ATA's words have their letters the wrong way round."""
    return bytes(raw[at ^ 1] for at in range(len(raw) & ~1))
