# SPDX-License-Identifier: Apache-2.0
"""Boot entries, bytes ↔ values: what OVMF made, what the specification says, and bytes that nobody would make."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError
from agent.model.efi import (
    GPT_KIND,
    MBR_KIND,
    LoadOption,
    PartitionPath,
    decode_option,
    decode_order,
    encode_order,
    leads_to,
    nodes,
    path_to,
    shown,
)
from tests.efi import RECORDED

SPECIFIED = bytes.fromhex(
    "010000006200640065006200690061006e000000"
    "04012a0001000000000800000000000000c0090000000000d4c3b2a1f6e5184790abcdef123456780202"
    "040434005c004500460049005c00640065006200690061006e005c007300680069006d007800360034002e006500660069000000"
    "7fff0400"
)
"""By hand, from UEFI 2.10, sections 3.1.3, 10.3.5.1 and 10.3.5.4: an entry for Debian's shim."""
GUID = UUID("a1b2c3d4-e5f6-4718-90ab-cdef12345678")
LETTERS = st.text(st.characters(min_codepoint=1, max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=40)
PARTITIONS = st.builds(
    PartitionPath,
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=16, max_size=16),
    st.sampled_from([MBR_KIND, GPT_KIND]),
)


@pytest.mark.parametrize(
    ("number", "label", "path"),
    [
        (0, "UiApp", "FvVol(c9bdb87cebf8344faaea3ee4af6516a1)/FvFile(21aa2c4614760345836e8ab6f4662331)"),
        (1, "UEFI QEMU DVD-ROM QM00005 ", "PciRoot(0x0)/Pci(0x1f,0x2)/Sata(0200ffff0000)"),
        (3, "UEFI PXEv4 (MAC:525400123456)", "PciRoot(0x0)/Pci(0x3,0x0)/MAC(525400123456,1)"),
    ],
)
def test_what_firmware_made(number: int, label: str, path: str) -> None:
    """OVMF's own entries are read, and written again byte for byte, with what they hold behind their path."""
    option = decode_option(RECORDED[number])

    assert (option.label, shown(option.path)) == (label, path)
    assert option.encode() == RECORDED[number]
    assert option.is_active


def test_what_the_specification_says() -> None:
    """Ours is the same, to the byte, and reads as in efibootmgr."""
    disk = PartitionPath(1, 0x800, 0x9C000, GUID.bytes_le, GPT_KIND)
    option = LoadOption(label="debian", path=path_to(disk, r"\EFI\debian\shimx64.efi"))

    assert option.encode() == SPECIFIED
    assert shown(option.path) == f"HD(1,GPT,{GUID},0x800,0x9c000)/File(\\EFI\\debian\\shimx64.efi)"


@given(st.integers(0, 2**32 - 1), LETTERS, PARTITIONS, LETTERS, st.binary(max_size=40))
def test_there_and_back(attributes: int, label: str, partition: PartitionPath, file: str, data: bytes) -> None:
    """Whatever an entry holds, it comes back from its bytes, and leads to its file and to no other partition's."""
    option = LoadOption(attributes=attributes, label=label, path=path_to(partition, file), data=data)

    assert decode_option(option.encode()) == option
    assert leads_to(option, partition, file) and not leads_to(option, partition, file + "x")
    assert not leads_to(option, partition._replace(number=partition.number ^ 1), file)
    assert LoadOption.model_validate_json(option.model_dump_json()) == option


@given(st.lists(st.integers(0, 0xFFFF)))
def test_orders(numbers: list[int]) -> None:
    """An order comes back from its bytes; half a number is none."""
    raw = encode_order(tuple(numbers))

    assert decode_order(raw) == tuple(numbers)
    with pytest.raises(DecodeError):
        decode_order(raw + b"\0")


@pytest.mark.parametrize(
    "path", [b"", b"\x04\x01", b"\x04\x01\x03\x00\x7f\xff\x04\x00", b"\x04\x01\xff\xff\x7f\xff\x04\x00"]
)
def test_paths_without_an_end(path: bytes) -> None:
    """A node that is too short, or longer than what is there, is an error, and never a loop."""
    with pytest.raises(DecodeError):
        list(nodes(path))
    assert shown(path).startswith("unreadable: ")
