# SPDX-License-Identifier: Apache-2.0
"""What an operator should know of a system before it is handed on: things that we do not change for its owner. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.model.generalise import Look, expanded, read_text
from agent.model.generalise.edits import MARK, OF_THIS_MACHINE

BOOT_TEXTS = (
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/loader/entries/*.conf",
    "/etc/default/grub",
    "/etc/default/grub.d/*.cfg",
    "/etc/kernel/cmdline",
)
DRACUT_TEXTS = ("/etc/dracut.conf", "/etc/dracut.conf.d/*.conf", "/usr/lib/dracut/dracut.conf.d/*.conf")
INITRAMFS_TEXTS = ("/etc/initramfs-tools/initramfs.conf", "/etc/initramfs-tools/conf.d/*")
KEY_MAKERS = (
    "/usr/bin/cloud-init",
    "/usr/lib/systemd/system/sshd-keygen.service",
    "/usr/lib/systemd/system/sshd-keygen@.service",
    "/usr/sbin/sshd-gen-keys-start",
)
SNAKEOIL = ("/etc/ssl/private/ssl-cert-snakeoil.key", "/usr/lib/systemd/system/ssl-cert.service")
ROOT_BY_NAME = re.compile(r"\broot=/dev/([shv]d[a-z]|xvd[a-z]|nvme\d)")


def remarks(look: Look) -> Iterator[tuple[str, str]]:
    """(code, text)."""
    if look.kind("/usr/bin/cloud-init") is None:
        yield "no-cloud-init", "without cloud-init nothing takes name, keys and network from the config drive"
        if look.kind("/usr/sbin/sshd") is not None and not any(look.kind(path) for path in KEY_MAKERS):
            yield "no-host-keys", "nothing in it makes new SSH host keys at the first boot: sshd will not start"
    if look.kind("/usr/sbin/make-ssl-cert") is not None and not any(look.kind(path) for path in SNAKEOIL):
        yield "no-snakeoil", "nothing in it makes a new snakeoil certificate: make-ssl-cert generate-default-snakeoil"
    if look.kind("/usr/bin/growpart") is None:
        yield "no-growpart", "without growpart root does not grow with the disk"
    texts = [read_text(look, path) for pattern in BOOT_TEXTS for path in expanded(look, pattern)]
    if any(ROOT_BY_NAME.search(text) for text in texts):
        yield (
            "root-by-name",
            "its boot loader names root as /dev/…, which another machine may call otherwise: use UUID=",
        )
    if texts and not any("console=tty" in text and re.search(r"console=tty(S|AMA)", text) for text in texts):
        yield "no-serial-console", "its kernel command line has no console=ttyS0 (ARM: ttyAMA0)"
    yield from about_initrd(look)
    yield from about_fstab(look)


def about_initrd(look: Look) -> Iterator[tuple[str, str]]:
    """An initrd made for the modules of one machine does not find the disk of another."""
    told = "its initrd is made for the machine that made it: it may lack the next one's disk driver"
    tools = setting(look, INITRAMFS_TEXTS, "MODULES")
    if tools == "dep":
        yield "initrd-of-one-machine", f"{told} (MODULES=dep)"
    is_dracut = look.kind("/usr/bin/dracut") is not None or look.kind("/usr/sbin/dracut") is not None
    if is_dracut and tools is None and setting(look, DRACUT_TEXTS, "hostonly") != "no":
        yield "initrd-of-one-machine", f'{told} (dracut without hostonly="no")'


def setting(look: Look, patterns: tuple[str, ...], name: str) -> str | None:
    """The last word that shell-like files say of a name."""
    texts = [read_text(look, path) for pattern in patterns for path in expanded(look, pattern)]
    found = re.findall(rf"^\s*{name}=[\"']?(\w+)", "\n".join(texts), re.MULTILINE)
    return found[-1] if found else None


def about_fstab(look: Look) -> Iterator[tuple[str, str]]:
    """Names that another machine may give to something else."""
    for line in read_text(look, "/etc/fstab").splitlines():
        words = line.split()
        if len(words) > 1 and not line.startswith(MARK[:1]) and OF_THIS_MACHINE.match(words[0]):
            yield "mount-by-name", f"fstab mounts {words[0]} on {words[1]}: another machine may call it otherwise"
