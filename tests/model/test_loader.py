# SPDX-License-Identifier: Apache-2.0
"""What an image carries of a boot loader, as distributions lay it out; and what firmware is given to find."""

from __future__ import annotations

import pytest

from agent.errors import InputError, NothingToBoot
from agent.host.fake import FakeHost, LinkTo
from agent.host.fake.tree import Unreadable
from agent.model.loader import Loader, loader_in
from tests.apply.rooted import GRUB, MANAGER, MENU, SHIM, UUID, debian, program

SUSE = "/usr/share/efi/x86_64"
FIND = f"search --no-floppy --fs-uuid --set=root {UUID}\n"


def loader(
    files: dict[str, bytes | str],
    architecture: str = "x86_64",
    folder: str = "",
    links: dict[str, LinkTo] | None = None,
) -> Loader:
    """Of an image with these files; below a folder there are secrets of the machine that looks."""
    tree: dict[str, str | bytes | LinkTo | Unreadable] = {f"/mnt{path}": content for path, content in files.items()}
    tree |= {f"/mnt{path}": link for path, link in (links or {}).items()} | {"/secret": program("secret")}
    host = FakeHost.with_files(tree)
    return loader_in(host.files.below("/mnt"), architecture, UUID, folder)


def test_debian() -> None:
    """shim starts GRUB, from its own folder and from where firmware looks by itself; both find the image's menu."""
    found = loader(debian())
    config = f"{FIND}set prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n".encode()

    assert found.title == "shim and GRUB of Debian GNULinux"
    assert found.files == {
        "/EFI/BOOT/BOOTX64.EFI": program("shim"),
        "/EFI/BOOT/grub.cfg": config,
        "/EFI/BOOT/grubx64.efi": program("grub\0/EFI/debian\0"),
        "/EFI/BOOT/mmx64.efi": program("manager"),
        "/EFI/debian/BOOTX64.CSV": "\ufeffshimx64.efi,Debian GNULinux,,\n".encode("utf-16-le"),
        "/EFI/debian/grub.cfg": config,
        "/EFI/debian/grubx64.efi": program("grub\0/EFI/debian\0"),
        "/EFI/debian/mmx64.efi": program("manager"),
        "/EFI/debian/shimx64.efi": program("shim"),
    }


def test_ubuntu_s_links_stay_in_the_image() -> None:
    """A link is followed as the image itself would: its alternatives are found, and no file of this machine is."""
    files = debian(**{SHIM: None})
    latest = {**files, "/usr/lib/shim/shimx64.efi.signed.latest": program("latest")}
    linked = loader(latest, links={SHIM: LinkTo("/usr/lib/shim/shimx64.efi.signed.latest")})
    outside = loader(files, links={SHIM: LinkTo("../../../../../secret")})

    assert linked.files["/EFI/BOOT/BOOTX64.EFI"] == program("latest")
    assert outside.files["/EFI/BOOT/BOOTX64.EFI"] == program("grub\0/EFI/debian\0")
    assert "not signed" in outside.title


@pytest.mark.parametrize("folder", ["/boot/efi/EFI/redhat", "new"])
def test_red_hat(folder: str) -> None:
    """Its loaders lie where the partition would be mounted, of late in versioned folders; the newest is taken."""
    shim = folder if folder != "new" else "/usr/lib/efi/shim/15.8-3/EFI/fedora"
    grub = folder if folder != "new" else "/usr/lib/efi/grub2/1:2.12-20.fc41/EFI/fedora"
    vendor = shim.rpartition("/")[2]
    found = loader(
        {
            "/usr/lib/os-release": "NAME='Red Hat Enterprise Linux'\nID='rhel'\n",
            "/usr/lib/efi/grub2/1:2.06-1.fc40/EFI/fedora/grubx64.efi": program("old") if folder == "new" else "",
            "/boot/efi/EFI/BOOT/BOOTX64.EFI": program("fallback"),
            f"{shim}/shimx64.efi": program("shim"),
            f"{grub}/grubx64.efi": program("grub"),
            "/boot/grub2/grub.cfg": MENU,
        }
    )

    assert found.files["/EFI/BOOT/BOOTX64.EFI"] == found.files[f"/EFI/{vendor}/shimx64.efi"] == program("shim")
    assert found.files[f"/EFI/{vendor}/grubx64.efi"] == program("grub")
    assert b"set prefix=($root)/boot/grub2\n" in found.files[f"/EFI/{vendor}/grub.cfg"]


def test_suse() -> None:
    """Its shim looks for grub.efi; what GRUB's own folder is called stands in GRUB."""
    found = loader(
        {
            "/etc/os-release": 'NAME="openSUSE Leap"\nID="opensuse-leap"\n',
            f"{SUSE}/shim.efi": program("shim"),
            f"{SUSE}/grub.efi": program("grub\0/EFI/sles\0"),
            f"{SUSE}/MokManager.efi": program("manager"),
            "/boot/grub2/grub.cfg": MENU,
        },
        folder="/@",
    )

    assert {path for path in found.files if path.endswith("grub.cfg")} == {
        "/EFI/BOOT/grub.cfg", "/EFI/opensuse/grub.cfg", "/EFI/sles/grub.cfg"
    }  # fmt: skip
    assert found.files["/EFI/opensuse/grub.efi"] == program("grub\0/EFI/sles\0")
    assert found.files["/EFI/opensuse/MokManager.efi"] == program("manager")
    assert b"set prefix=($root)/@/boot/grub2\n" in found.files["/EFI/BOOT/grub.cfg"]


def test_arm() -> None:
    """Firmware of another architecture is given its own programs, and none of another's."""
    shim, grub = SHIM.replace("x64", "aa64"), GRUB.replace("x64", "aa64").replace("x86_64", "arm64")
    arm = {shim: program("shim", "aarch64"), grub: program("grub", "aarch64")}
    found = loader({**debian(), **arm}, "aarch64")

    assert found.files["/EFI/BOOT/BOOTAA64.EFI"] == program("shim", "aarch64")
    assert found.files["/EFI/debian/grubaa64.efi"] == program("grub", "aarch64")
    with pytest.raises(NothingToBoot, match="no shim or GRUB for UEFI on aarch64"):
        loader({**debian(), shim: program("shim"), grub: program("grub")}, "aarch64")
    with pytest.raises(InputError, match="none is known for s390x"):
        loader(debian(), "s390x")


@pytest.mark.parametrize("end", ["", ".signed"])
def test_systemd_boot_alone(end: str) -> None:
    """It is seen, and refused for its own reason; beside GRUB it is in nobody's way."""
    place = f"/usr/lib/systemd/boot/efi/systemd-bootx64.efi{end}"
    with pytest.raises(NothingToBoot, match="never those in root") as caught:
        loader(debian(**{SHIM: None, GRUB: None, place: program("systemd-boot")}))

    assert "whole-disk image" in str(caught.value.hint)
    assert loader(debian(**{place: program("systemd-boot")})).title.startswith("shim and GRUB")


def test_grub_alone() -> None:
    """An image without shim boots where nobody asks for signatures, and that is said."""
    plain = "/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi"
    found = loader(debian(**{SHIM: None, GRUB: None, plain: program("plain")}))

    assert found.files["/EFI/BOOT/BOOTX64.EFI"] == found.files["/EFI/debian/grubx64.efi"] == program("plain")
    assert not any("mm" in path or "shim" in path for path in found.files)
    assert found.title == "GRUB of Debian GNULinux, not signed: not for Secure Boot"


@pytest.mark.parametrize("grub", [None, "MZ, and no program", b"MZ" + bytes(58) + b"\xff\xff\xff\x7f", b""])
def test_no_loader(grub: bytes | str | None) -> None:
    """What is no program is no loader; the error tells where was looked, and what to do."""
    with pytest.raises(NothingToBoot, match=r"/usr/lib/shim/shimx64\.efi\.signed, /usr/lib/grub") as error:
        loader(debian(**{GRUB: grub}))

    assert "shim-signed" in error.value.hint and "whole-disk image" in error.value.hint


def test_a_menu_of_ours() -> None:
    """Without one of its own, the newest kernel that has an initrd is started, with root by its UUID."""
    kernels = ["vmlinuz-6.9.1-2", "vmlinuz-6.10.0-1", "vmlinuz-6.11.0-1", "vmlinuz-0-rescue-abc", "vmlinuz-6.10.0-rc1"]
    initrds = ["initrd.img-6.9.1-2", "initramfs-6.10.0-1.img", "initrd-6.10.0-rc1", "initramfs-0-rescue-abc.img"]
    files = debian(**{"/boot/grub/grub.cfg": None, **{f"/boot/{name}": "x" for name in kernels + initrds}})

    assert loader(files).files["/EFI/BOOT/grub.cfg"].decode() == (
        f'{FIND}set timeout=1\nmenuentry "Debian GNULinux" {{\n'
        f"    linux /boot/vmlinuz-6.10.0-1 root=UUID={UUID} ro\n    initrd /boot/initramfs-6.10.0-1.img\n}}\n"
    )
    assert b" ro rootflags=subvol=/@\n    initrd /@/boot/" in loader(files, folder="/@").files["/EFI/BOOT/grub.cfg"]
    with pytest.raises(NothingToBoot, match="no menu of GRUB's, and in /boot no kernel with an initrd"):
        loader(debian(**{"/boot/grub/grub.cfg": "", "/boot/vmlinuz-6.1": "x", MANAGER: None}))


def test_hostile_names() -> None:
    """An os-release decides neither about paths on the partition nor about GRUB's words."""
    evil = 'NAME="x\\" { } $(reboot) \'"\nID=../../BOOT\n'
    kernels = {"/boot/vmlinuz-6.1;reboot": "x", "/boot/initrd.img-6.1;reboot": "x", "/boot/grub/grub.cfg": None}
    good = {"/boot/vmlinuz-6.1": "x", "/boot/initrd.img-6.1": "x"}
    found = loader(debian(**{"/etc/os-release": evil, **kernels, **good}))

    assert {path.split("/")[2] for path in found.files} == {"BOOT", "linux", "debian"}
    assert b";reboot" not in found.files["/EFI/BOOT/grub.cfg"] and b"$(" not in found.files["/EFI/BOOT/grub.cfg"]
