# SPDX-License-Identifier: Apache-2.0
"""Where a captured system mounts what: its fstab against the partitions; and what of the disk nobody looked into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from agent.apply.capture.fstab import Mount, lines_of, mounts_of
from agent.apply.capture.unseen import Content, resembles, unseen
from agent.errors import CaptureRefused
from agent.host.doors import Tree
from agent.host.fake import FakeHost, LinkTo, Machine
from agent.host.fake import Tree as Files
from agent.model.filesystem import Extent
from agent.model.filesystem.findings import Finding
from agent.model.filesystem.survey import Part, Survey

PLACES = ("/etc", "/home/me", "/var/lib/cloud", "/var/log", "/srv/data", "/boot/efi", "/tmp")
ROOT = "UUID=aa / ext4 defaults 0 1\n"


@dataclass(frozen=True)
class Named:
    """A filesystem, as far as fstab goes."""

    uuid: str
    kind: str = "ext4"
    label: ClassVar[None] = None
    unclean: ClassVar[None] = None
    elsewhere: ClassVar[None] = None
    size_bytes: int = 1

    def used(self) -> list[Extent]:
        """None."""
        return []


def part(number: int, kind: str | None = "ext4", uuid: str = "") -> Part:
    """One."""
    return Part(number, number, 1, kind, filesystem=Named(uuid, kind or ""))  # type: ignore[arg-type]


def tree(fstab: str, links: dict[str, LinkTo] | None = None) -> Tree:
    """A root with that fstab, and the usual places."""
    return tree_of({**{f"{place}/.keep": "" for place in PLACES}, "/etc/fstab": fstab, **(links or {})})


def tree_of(files: dict[str, str | LinkTo]) -> Tree:
    """With these, somewhere."""
    there = Files.of({f"/there{path}": content for path, content in files.items()})
    return FakeHost.of(Machine.of(there)).files.below("/there")


def mounted(fstab: str, *parts: Part) -> tuple[dict[str, int], list[str]]:
    """({place: partition}, places that nothing was found for). The first is root."""
    found, missed = mounts_of(tree(fstab), list(parts), parts[0])
    return {each.place: each.part.number for each in found}, [line.place for line in missed]


def found(fstab: str, *parts: Part, kinds: dict[int, Content | CaptureRefused] | None = None) -> list[Finding]:
    """What was not seen, the first being root."""
    looked = Survey("gpt", 512, 100, parts, 0, b"")
    system = tree(fstab)
    mounts, missed = mounts_of(system, [each for each in parts if each.kind == "ext4"], parts[0])
    return list(unseen(system, looked, [Mount(parts[0], ""), *mounts], missed, kinds or {}))


def refused(findings: list[Finding]) -> list[str]:
    """Their codes."""
    return [one.code for one in findings if one.is_refusal]


@pytest.mark.parametrize(
    ("spec", "number"),
    [
        ("UUID=BB", 3), ("/dev/sda3", 3), ("/dev/vdb3", 3), ("/dev/xvda3", 3), ("/dev/nvme0n1p3", 3),
        ("/dev/mmcblk0p3", 3), ("/dev/disk/by-id/ata-Disk_S3-part3", 3), ("/dev/disk/by-path/pci-0-ata-1-part3", 3),
        ("/dev/disk/by-uuid/bb", 3), ("/dev/sda4", None), ("/dev/sda13", None), ("/dev/mapper/vg-var", None),
        ("/dev/vg/var", None), ("UUID=cc", None),
    ],
)  # fmt: skip
def test_a_place_by_any_name(spec: str, number: int | None) -> None:
    """A partition that fstab names by tag, by number or by a link of udev's is mounted where the system has it; what
    means none of them, is told."""
    places, missed = mounted(f"{ROOT}{spec} /var ext4 defaults 0 2\n", part(2, uuid="aa"), part(3, uuid="bb"))

    assert places == ({} if number is None else {"/var": number}) and missed == ([] if number else ["/var"])


def test_numbers_of_other_disks() -> None:
    """A number alone is not believed: not against a tag, another type, or the disk that root names; nor of two."""
    parts = part(2, uuid="aa"), part(3, uuid="bb"), part(4, "xfs", "cc")

    assert mounted(f"{ROOT}/dev/sdb2 /tmp ext4\n", *parts) == ({}, ["/tmp"])
    assert mounted(f"{ROOT}/dev/sdb3 /tmp ext4\nUUID=bb /var ext4\n", *parts) == ({"/var": 3}, ["/tmp"])
    assert mounted(f"{ROOT}/dev/sdb4 /tmp ext4\n/dev/sdb3 /var auto\n", *parts) == ({"/var": 3}, ["/tmp"])
    assert mounted("/dev/sda2 / ext4\n/dev/sdb3 /tmp ext4\n", *parts) == ({}, ["/tmp"])
    assert mounted("/dev/sda2 / ext4\n/dev/sdb3 /tmp ext4\n/dev/sda3 /var ext4\n", *parts) == ({"/var": 3}, ["/tmp"])
    assert mounted(f"{ROOT}/dev/sdb3 /tmp ext4\n/dev/sda3 /var ext4\n", *parts) == ({}, ["/tmp", "/var"])


def test_lines_that_are_no_filesystem_of_a_disk() -> None:
    """Swap, networks, memory and comments."""
    lines = "tmpfs /tmp tmpfs\nnas:/x /home nfs\n/dev/sda3 none swap\n#/dev/sda3 /var ext4\n/dev/sda3\n"

    assert lines_of(tree(lines)) == []


def test_a_place_behind_a_link() -> None:
    """It would be mounted outside: not at all, and told."""
    system = tree(f"{ROOT}UUID=bb /srv/link/x ext4\n", {"/srv/link": LinkTo("/var")})
    mounts, missed = mounts_of(system, [part(2, uuid="aa"), part(3, uuid="bb")], part(2, uuid="aa"))

    assert mounts == [] and [line.place for line in missed] == ["/srv/link/x"]


@pytest.mark.parametrize("place", ["/var", "/home", "/var/log", "/var/lib", "/home/me", "/boot", "/tmp", "/var/log/x"])
def test_what_holds_secrets_and_is_not_mounted(place: str) -> None:
    """It is refused where it can lie on this disk, inside LVM or encryption too; a volume of another disk is not."""
    line = f"{ROOT}/dev/mapper/vg-x {place} ext4 defaults 0 2\n"
    root = part(2, uuid="aa")

    for kind in ("LVM2_member", "crypto_LUKS", "ext4", None):
        other = Part(3, 3, 1, kind, illegible=None if kind else "broken")
        assert refused(found(line, root, other)) == ["not-mounted"], kind
    assert found(line, root) == found(line, root, part(3, "swap")) == found(line, root, part(3, "vfat")) == []


def test_places_with_nothing_to_forget() -> None:
    """Data may lie where it will."""
    assert found(f"{ROOT}/dev/mapper/vg-x /srv/data ext4\n", part(2, uuid="aa"), Part(3, 3, 1, "LVM2_member")) == []


def test_partitions_that_fstab_does_not_name() -> None:
    """Another system, or what looks like a /var or /home that systemd finds by itself, is refused; data are told."""
    root, other = part(2, uuid="aa"), part(3, uuid="bb")
    told: dict[str, Content | CaptureRefused] = {
        "second-root": Content("", None), "not-mounted": Content(None, "/var"), "": Content(None, None),
        "illegible": CaptureRefused("mounting", "damaged"),
    }  # fmt: skip
    seen = {code: found(ROOT, root, other, kinds={2: Content("", None), 3: one}) for code, one in told.items()}

    assert refused(seen["second-root"]) == ["second-root"] and refused(seen["not-mounted"]) == ["not-mounted"]
    assert [one.code for one in seen[""]] == [one.code for one in seen["illegible"]] == ["not-mounted"]
    assert refused(seen[""]) == refused(seen["illegible"]) == []
    named = f"{ROOT}UUID=bb /srv/data ext4\n"
    assert found(named, root, other, kinds={3: Content(None, "/var")}) == []
    assert refused(found(named, root, other, kinds={3: Content("", None)})) == ["second-root"]


@pytest.mark.parametrize(
    ("paths", "like"),
    [(("/lib/x", "/log/x", "/cache/x"), "/var"), (("/me/.ssh/id_rsa",), "/home"), (("/me/.profile",), "/home"),
     (("/base/1/x", "/lost+found/x"), None), ((), None)],
)  # fmt: skip
def test_what_a_tree_resembles(paths: tuple[str, ...], like: str | None) -> None:
    """By names."""
    assert resembles(tree_of(dict.fromkeys(paths, ""))) == like
