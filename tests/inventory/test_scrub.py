# SPDX-License-Identifier: Apache-2.0
"""Other names: of the same shape, the same each time, different where the originals differ."""

from __future__ import annotations

import re
import zlib
from ipaddress import ip_address, ip_interface, ip_network
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.host.fake import Unreadable
from agent.host.smbios import parse
from agent.inventory.efi import found as programs
from agent.inventory.efi import is_program
from agent.inventory.scrub import device_mounts, plain_words, scrubbed
from agent.inventory.scrub.devices import bmc, drive, driver, swapped, variable
from agent.inventory.scrub.firmware import learn_table, scrubbed_table
from agent.inventory.scrub.pseudonym import Pseudonyms
from agent.inventory.scrub.sectors import head, scrubbed_pieces, tail
from agent.model import gpt
from agent.model.efi import decode_option, nodes, partition_of
from agent.model.filesystem.fat_files import FatFiles
from agent.model.hardware import ata
from agent.model.hardware.transceiver import transceiver
from tests.apply.disks import gpt_image
from tests.efi import MIB, RECORDED, SmallFat, head_with
from tests.machines import firmware, parts, planted, synthetic
from tests.model.hardware import answers

SERIALS = st.text("ABCDEFGHJKabcdefghjk0123456789-_", min_size=6, max_size=20).filter(lambda text: text[0].isalpha())
ADDRESSES = st.ip_addresses()


def names(key: bytes = b"of a test") -> Pseudonyms:
    """None is known yet."""
    return Pseudonyms(key)


@given(st.sets(SERIALS, min_size=2, max_size=30))
def test_names_keep_their_shape_and_differ(serials: set[str]) -> None:
    """As long, digits and letters where they were, in the same case; and no two have one name."""
    found = names()
    for serial in serials:
        found.learn(serial)
    other = {serial: found.text(serial) for serial in serials}

    for serial, name in other.items():
        assert re.sub(r"\d", "0", re.sub("[a-z]", "a", re.sub("[A-Z]", "A", name))) == re.sub(
            r"\d", "0", re.sub("[a-z]", "a", re.sub("[A-Z]", "A", serial))
        )
    assert len({name.lower() for name in other.values()}) == len({serial.lower() for serial in serials})


@pytest.mark.parametrize(
    "kept",
    ["To Be Filled By O.E.M.", "0000000000", "None", "S1", "12345", "0000:00:14.0", "xhci-hcd 0000:00:14.0", "N/A"],
)
def test_what_is_no_identity_stays(kept: str) -> None:
    """Placeholders are evidence of a bug, and what is too short would be found within other words."""
    found = names()
    found.learn(kept)

    assert found.text(f"serial {kept}, of 12345 S1") == f"serial {kept}, of 12345 S1"
    assert found.count == 0


def test_one_identity_written_in_many_ways() -> None:
    """A MAC with colons, hyphens or nothing, a WWN with each of its prefixes, a serial in hexadecimal: one name."""
    found = names()
    found.learn_shapes("52:54:00:AB:CD:EF and 0x5000c500a1b2c3d4")
    found.learn("S4EVNX0R123456")
    mac = found.text("52:54:00:ab:cd:ef")
    wwn, serial = found.text("5000c500a1b2c3d4"), found.text("S4EVNX0R123456")

    assert mac.startswith("52:54:00:") and mac != "52:54:00:ab:cd:ef" and wwn.startswith("5000c50")
    assert (
        found.text("enx525400abcdef 52-54-00-AB-CD-EF") == f"enx{mac.replace(':', '')} {mac.upper().replace(':', '-')}"
    )
    assert found.text("wwn-0x5000c500a1b2c3d4 35000C500A1B2C3D4") == f"wwn-0x{wwn} 3{wwn.upper()}"
    assert found.text("nvme.8086-" + b"S4EVNX0R123456".hex()) == "nvme.8086-" + serial.encode().hex()


def test_what_extends_a_name_begins_with_it() -> None:
    """A WWN and the same with its extension; an NGUID keeps its OUI, which is in the middle."""
    found = names()
    found.learn_hex("600508b1001c4711600508b1001c4712", range(7))
    found.learn_hex("00112233445566778899aabbccddeeff", (), range(6))

    assert found.text("600508b1001c4711600508b1001c4712").startswith(found.text("600508b1001c4711"))
    assert found.text("600508b1001c4711").startswith("600508b") and found.text("600508b1001c4711")[7:] != "1001c4711"
    assert found.text("00112233445566778899aabbccddeeff")[16:22] == "8899aa"


@given(ADDRESSES, ADDRESSES, st.integers(8, 32))
def test_networks_stay_networks(one: object, other: object, length: int) -> None:
    """Two addresses in one network are in one afterwards, its own first address is the first of it, kinds stay."""
    found = names()
    first, second = ip_address(found.address(str(one))), ip_address(found.address(str(other)))
    network = ip_network(f"{one}/{length}", strict=False)
    renamed = ip_network(found.address(str(network)))

    assert first in renamed and first.version == network.version
    assert (ip_address(str(other)) in network) == (second in renamed)
    assert (first.is_loopback, first.is_multicast, first.is_link_local, first.is_unspecified) == (
        ip_address(str(one)).is_loopback,
        ip_address(str(one)).is_multicast,
        ip_address(str(one)).is_link_local,
        ip_address(str(one)).is_unspecified,
    )


def test_addresses_are_other_ones() -> None:
    """A private one stays private; the default route stays one."""
    found = names()

    assert found.address("10.20.30.40/24") != "10.20.30.40/24"
    assert ip_interface(found.address("192.168.7.9/24")).is_private
    assert (found.address("0.0.0.0/0"), found.address("::/0")) == ("0.0.0.0/0", "::/0")


def test_a_disk_of_a_storage_network_is_nobodys() -> None:
    """The portal's address and the target's name are others in a link, in a tag, and of a partition; kinds stay."""
    found = names()
    path = "ip-203.1.113.40:3260-iscsi-iqn.2001-05.com.acme:prod-lun-0"
    found.learn_shapes(f"{path} nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0044-4710-8057-b2c04f4a5032")
    link, tag = found.text(f"/dev/disk/by-path/{path}-part1"), found.text(re.sub(r"[^\w-]", "_", path))
    told = re.fullmatch(r"/dev/disk/by-path/ip-(\S+):3260-iscsi-iqn\.2001-05\.(\S+)-lun-0-part1", link)

    assert told is not None and told[1] == found.address("203.1.113.40") != "203.1.113.40"
    assert re.fullmatch(r"[a-z]{3}\.[a-z]{4}:[a-z]{4}", told[2]) and told[2] != "com.acme:prod"
    assert tag == re.sub(r"[^\w-]", "_", link.rpartition("/")[2].removesuffix("-part1"))
    binary = found.raw(b"\0 203.1.113.40")
    assert len(binary) == 14 and b"203.1.113.40" not in binary
    assert found.text("1203.1.113.40 203.1.113.401 203.1.113.40.1") == "1203.1.113.40 203.1.113.401 203.1.113.40.1"
    assert found.text("nqn.2014-08.org.nvmexpress:uuid") == "nqn.2014-08.org.nvmexpress:uuid"


def test_a_short_name_of_a_host_stands_alone() -> None:
    """It is replaced in texts where it is a word, and not within others, nor in bytes; parts of links stay."""
    found = names()
    for host in ("db1", "dev", "7"):
        found.learn_host(host)

    assert "db1" not in found.text("db1-root db1.example DB1").lower() and found.text("adb1 db17") == "adb1 db17"
    assert found.raw(b"\0db1\0") == b"\0db1\0" and found.raw(b"db1\n") != b"db1\n"
    assert found.path("/dev/7") == "/dev/7"


def test_names_of_partitions_are_others() -> None:
    """In both tables, as udev's texts are; and the checksums are right."""
    found = names()
    found.learn_host("web17")
    image = head_with(SmallFat({}).image, name="web17-root")
    (entry,) = gpt.parse(head(found, image[: 1 << 20], 512), 512).entries

    assert entry.name == found.text("web17-root") != "web17-root"
    assert found.raw("x web17-root".encode("utf-16-le") + b"\1") == f"x {entry.name}".encode("utf-16-le") + b"\1"


def test_folders_have_only_what_leads_to_loaders() -> None:
    """All else is blank, in the root, too; what is called by a machine-id is called by another, and is still found."""
    found, image = names(), head_with(SmallFat({**planted.ESP_FILES, "/loader/web17.conf": b"x"}).image)
    pieces: dict[int, bytes | Unreadable] = {0: image[:MIB]}
    new = bytearray(4 * MIB)

    def read(at: int, size: int) -> bytes:
        pieces[MIB + at] = image[MIB + at : MIB + at + size]
        return image[MIB + at : MIB + at + size]

    seen = FatFiles(read, MIB)
    assert len(list(programs(seen, is_program))) == 2 and seen.content("/EFI/debian/BOOTX64.CSV", MIB)
    before = b"".join(piece for piece in pieces.values() if isinstance(piece, bytes))
    assert all(word in before for word in (b"8F3E47~1", b"GRUB    CFG", b"LOADER"))
    for offset, piece in scrubbed_pieces(found, pieces, len(new), 512).items():
        assert isinstance(piece, bytes)
        new[offset : offset + len(piece)] = piece
    files = FatFiles(lambda at, size: bytes(new[MIB + at : MIB + at + size]), MIB)
    (kernel,) = files.names("/EFI/Linux")

    assert files.names("/") == ("EFI",) and set(files.names("/EFI")) == {"debian", "LINUX"}
    assert set(files.names("/EFI/debian")) == {"GRUBX64.EFI", "BOOTX64.CSV"}
    assert kernel == f"{found.file_name(planted.MACHINE)}-6.1.efi" and planted.MACHINE not in kernel
    assert not any(word in new for word in (b"8\0f\x003\0e\0", b"8F3E", b"GRUB    CFG", b"LOADER"))
    assert files.content("/EFI/debian/BOOTX64.CSV", MIB) == planted.ESP_FILES["/EFI/debian/BOOTX64.CSV"]


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_table_stays_a_table(sector: int) -> None:
    """Partitions are where they were, under other GUIDs, and the checksums are right; what else was there is gone."""
    image = gpt_image(sector_bytes=sector)
    start, copy = gpt.fit(image[: 1 << 20], len(image), sector, ())
    before, after = gpt.parse(start, sector), gpt.parse(head(names(), start, sector), sector)
    end = tail(names(), copy.rjust(1 << 20, b"x"), len(image), sector)
    (backup,) = gpt.parse_backup(end, sector, len(image))

    assert [one.first_lba for one in after.entries] == [one.first_lba for one in before.entries]
    assert after.disk_guid != before.disk_guid and after.entries[0].guid != before.entries[0].guid
    assert backup.guid == after.entries[0].guid
    assert head(names(), start, sector)[1:440] == bytes(439) and b"x" * 8 not in end


def test_a_damaged_table_stays_damaged() -> None:
    """A wrong checksum is what the recording is about: it is not made right."""
    image = bytearray(gpt_image()[: 1 << 20])
    image[512 + 16] ^= 0xFF
    new = head(names(), bytes(image), 512)
    crc = int.from_bytes(new[512 + 16 : 512 + 20], "little")

    assert new[512:520] == gpt.SIGNATURE and crc != zlib.crc32(new[512:528] + bytes(4) + new[532:604])


def test_smbios_without_identities_is_sound() -> None:
    """Serials, tags and the UUID are others, structures of makers' own are gone, all else is as it was."""
    found = names()
    raw = planted.table()
    learn_table(found, raw)
    before, after = parse(raw), parse(scrubbed_table(found, raw, (3, 3)))

    assert before.product and after.product and after.product.uuid != before.product.uuid
    assert UUID(str(after.product.uuid)).version == UUID(str(before.product.uuid)).version
    assert after.firmware == before.firmware and after.product.vendor == before.product.vendor
    assert after.product.serial == after.chassis.serial != before.product.serial  # type: ignore[union-attr]
    assert planted.OEM.encode() not in scrubbed_table(found, raw, (3, 3))


@given(st.integers(0, 200))
def test_half_an_smbios_table_stays_half_a_one(end: int) -> None:
    """What is sound is kept, and what is left of the rest says nothing: not one whole word."""
    raw = planted.table()[:end]
    new = scrubbed_table(names(), raw, (3, 3))

    assert planted.OEM.encode() not in new and len(new) <= len(raw)


@pytest.mark.parametrize("number", RECORDED)
def test_boot_entries_stay_entries(number: int) -> None:
    """The firmware's own are read again, with as many nodes; MACs in labels and in paths are one other MAC."""
    found = names()
    found.learn_shapes("52:54:00:12:34:56")
    before, after = decode_option(RECORDED[number]), decode_option(variable(found, "Boot0000", RECORDED[number]))

    assert len(list(nodes(after.path))) == len(list(nodes(before.path)))
    assert "525400123456" not in after.label and b"\x52\x54\x00\x12\x34\x56" not in after.path
    assert not any(after.data)


def test_a_boot_entry_and_its_partition_have_one_name() -> None:
    """The GUID in the path is that of the table: which entry leads where can still be seen."""
    found, made = names(), planted.machine()
    assert made.variables is not None
    option = decode_option(variable(found, "Boot0007", made.variables["Boot0007"]))
    table = gpt.parse(head(found, head_with(SmallFat({}).image)[: 1 << 20], 512), 512)
    partition = partition_of(next(nodes(option.path)))

    assert partition is not None and partition.guid == str(table.entries[0].guid)


def test_checksums_of_devices_are_right_again() -> None:
    """An ATA disk's identity and a module's EEPROM are read as before, under other serials."""
    found = names()
    raw = planted.drives()["/dev/sdz", "ata"]
    found.learn(planted.SATA)
    module = b"\x43".ljust(16, b"\0") + answers.cmis()
    found.learn(str(transceiver(module[16:]).serial))
    new = transceiver(driver(found, 0x43, module)[16:])

    assert ata.identity(drive(found, "ata", raw)).serial == found.text(planted.SATA) != planted.SATA
    assert new.serial != transceiver(module[16:]).serial and new.part == transceiver(module[16:]).part
    assert swapped(swapped(b"abcd")) == b"abcd"


def test_the_bmc_has_another_address() -> None:
    """Its MAC and its address; what it is, and what it does not know, stay."""
    found, told = names(), planted.bmc()
    new = {asked: bmc(found, asked, answer) for asked, answer in told.items()}

    assert new[bytes([6, 1])] == told[bytes([6, 1])]
    assert str(ip_address(new[bytes([0x0C, 2, 1, 3, 0, 0])][2:6])).startswith("10.")
    assert new[bytes([0x0C, 2, 1, 3, 0, 0])] != told[bytes([0x0C, 2, 1, 3, 0, 0])]
    assert bmc(found, bytes([0x0C, 2, 1, 5, 0, 0]), b"\x80") == b"\x80"


def test_a_host_that_is_called_like_a_part_of_the_kernel() -> None:
    """Its name is replaced where it is one; the kernel's own directories, links and words are not."""
    built = synthetic.dell_r650()
    parts.put(built, {"/proc/sys/kernel/hostname": "node1", "/sys/block/sda/device/model": "of node1 "})
    parts.tell(
        built, "sdb", built.record.udev["sdb"] | {"ID_FS_TYPE": "ext4", "ID_FS_LABEL": "node1", "ID_BUS": "scsi"}
    )
    made, _ = scrubbed(parts.finished(built), b"of a test")

    assert made.tree.entries["/sys/devices/system/node/node1/cpulist"] == b"1\n"
    assert made.tree.entries["/proc/sys/kernel/hostname"] != b"node1\n"
    assert made.record.udev["sdb"]["ID_FS_LABEL"] != "node1"
    assert made.record.udev["sdb"]["ID_BUS"] == "scsi" and set(made.links) == {"eno1", "eno2", "ens1f0np0", "ens1f1np1"}


def test_command_lines_and_mounts_of_others_are_left_out() -> None:
    """Words with values are kept where the value says nothing; mounts of servers tell whose they are."""
    assert plain_words("quiet console=ttyS0 bms.token=x bms.url=http://c ip=1.2.3.4 ro") == "quiet console=ttyS0 ro\n"
    assert plain_words("root=iscsi:user:pass@10.1.2.3::3260::iqn.2001-05.com.acme:x init=tell:x ro") == "ro\n"
    assert plain_words('a x="a hidden word" "y=another one" b "an open end') == "a b\n"
    kept = "root=/dev/sda1 root=UUID=1-2 root=PARTUUID=1-2 root=LABEL=a init=/sbin/init rootfstype=ext4\n"
    assert plain_words(kept) == kept
    assert device_mounts("1 2 8:1 / / rw - ext4 /dev/sda1 rw\n3 1 0:5 / /srv rw - nfs4 acme:/x rw\n") == (
        "1 2 8:1 / / rw - ext4 /dev/sda1 rw\n"
    )
    assert firmware.END
