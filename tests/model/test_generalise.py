# SPDX-License-Identifier: Apache-2.0
"""What a captured system forgets: the table against the trees of several systems, hostile ones among them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.host.fake import LinkTo, Tree
from agent.model.generalise import EVERYTHING, Action, Kind, actions, homes
from agent.model.generalise.edits import MARK, is_elsewhere, locked, names_host
from agent.model.generalise.remarks import remarks
from agent.model.generalise.table import ITEMS, NAMES, chosen

OWN = frozenset({"UUID=11111111-aaaa-4bbb-8ccc-222222222222", "UUID=abcd-1234", "LABEL=Swap"})


@dataclass
class System:
    """`Look` over a tree in memory."""

    tree: Tree

    def names(self, directory: str) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted(self.tree.directories.get(self.tree.resolve(directory), ())))

    def kind(self, path: str) -> Kind | None:
        """Of the path itself."""
        parent, _, name = path.rpartition("/")
        at = f"{self.tree.resolve(parent or '/').rstrip('/')}/{name}"
        if at in self.tree.entries:
            return "link" if isinstance(self.tree.entries[at], LinkTo) else "file"
        return "directory" if at in self.tree.directories else None

    def read(self, path: str, most_bytes: int) -> bytes:
        """Its beginning; nothing behind a link that leads nowhere."""
        content = self.tree.entries.get(self.tree.resolve(path), b"")
        return content[:most_bytes] if isinstance(content, bytes) else b""


def system(files: dict[str, str | bytes | LinkTo]) -> System:
    """A tree with these files."""
    return System(Tree.of(dict(files)))


def debian() -> System:
    """A Debian that has been a server for a while."""
    return system({
        "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "/var/lib/dbus/machine-id": LinkTo("/etc/machine-id"),
        "/etc/ssh/ssh_host_ed25519_key": "PRIVATE", "/etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAA",
        "/etc/ssh/sshd_config": "UsePAM yes\n", "/usr/sbin/sshd": "",
        "/usr/bin/cloud-init": "", "/usr/bin/growpart": "",
        "/var/lib/cloud/data/instance-id": "i-1", "/var/lib/cloud/instance": LinkTo("/var/lib/cloud/instances/i-1"),
        "/var/log/cloud-init.log": "secret", "/var/log/apt/history.log": "…", "/var/log/wtmp": "logins",
        "/var/log/journal/0123456789abcdef0123456789abcdef/system.journal": "…",
        "/etc/hostname": "web-1.novalocal\n",
        "/etc/hosts": "127.0.0.1 localhost\n127.0.1.1 web-1.novalocal web-1\n10.0.0.9 db-1\n10.0.0.5 web-1\n",
        "/etc/systemd/network/10-bms-agent-0.network": "…", "/etc/systemd/network/20-mine.network": "…",
        "/etc/netplan/50-cloud-init.yaml": "…", "/etc/netplan/90-mine.yaml": "…",
        "/var/lib/bms-agent/identity.json": "…", "/etc/bms-agent/agent.toml": "…",
        "/var/lib/systemd/random-seed": "…", "/var/lib/dhcp/dhclient.leases": "…",
        "/etc/shadow": "root:$6$salt$hash:19000:0:99999:7:::\ndebian:$6$other$hash:19000:0:99999:7:::\n",
        "/etc/shadow-": "root:$6$old$hash:::::::\n",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\ndb:x:9:9::/srv/db:/bin/sh\nsync:x:4:4::/:/bin/sync\n",
        "/root/.bash_history": "mysql -psecret", "/home/debian/.python_history": "…", "/srv/db/.psql_history": "…",
        "/home/debian/.ssh/authorized_keys": "ssh-ed25519 AAAA", "/home/debian/.ssh/id_ed25519": "PRIVATE",
        "/home/debian/work.txt": "kept", "/tmp/upload/driver.run": "…", "/var/cache/apt/archives/x.deb": "…",
        "/etc/fstab": "UUID=11111111-AAAA-4bbb-8ccc-222222222222 / ext4 defaults 0 1\n"
                      "UUID=ABCD-1234 /boot/efi vfat umask=0077 0 0\n"
                      "LABEL=\"Swap\" none swap sw 0 0\n"
                      "/dev/disk/by-id/wwn-0x5000 /data xfs defaults 0 0\n"
                      "UUID=99999999-0000-4000-8000-000000000000 /backup ext4 defaults 0 0\n"
                      "tmpfs /scratch tmpfs size=1g 0 0\nnas:/export /nas nfs defaults 0 0\n",
        "/boot/grub/grub.cfg": "linux /vmlinuz root=UUID=1 ro console=tty0 console=ttyS0,115200",
    })  # fmt: skip


def done(to: System, *names: str) -> dict[str, str]:
    """Path → what is done to it, by these items."""
    return {action.path: action.doing for action in actions(to, chosen(names or NAMES), OWN)}


def content(to: System, item: str) -> str:
    """What an item writes."""
    return next(one.content for one in actions(to, chosen((item,)), OWN) if one.doing == "write").decode()


def test_a_debian_forgets() -> None:
    """Everything that is the old server's goes, and nothing that is the tenant's work."""
    doings = done(debian())

    assert doings == {
        "/etc/machine-id": "empty",
        "/var/lib/dbus/machine-id": "remove",
        "/etc/ssh/ssh_host_ed25519_key": "remove",
        "/etc/ssh/ssh_host_ed25519_key.pub": "remove",
        "/var/lib/cloud": "clear",
        "/var/log/cloud-init.log": "remove",
        "/etc/hosts": "write",
        "/etc/hostname": "empty",
        "/etc/systemd/network/10-bms-agent-0.network": "remove",
        "/etc/netplan/50-cloud-init.yaml": "remove",
        "/var/lib/dhcp": "clear",
        "/etc/fstab": "write",
        "/var/lib/bms-agent": "clear",
        "/var/lib/systemd/random-seed": "remove",
        "/etc/shadow": "write",
        "/etc/shadow-": "remove",
        "/home/debian/.ssh/authorized_keys": "remove",
        "/home/debian/.ssh/id_ed25519": "remove",
        "/root/.bash_history": "remove",
        "/home/debian/.python_history": "remove",
        "/srv/db/.psql_history": "remove",
        "/var/log/journal": "clear",
        "/var/log": "sweep",
        "/var/log/wtmp": "empty",
        "/tmp": "clear",
        "/var/cache/apt/archives": "sweep",
    }


def test_texts_are_edited() -> None:
    """Root's password alone is locked; other disks' mounts are commented out; the host's own name goes."""
    assert content(debian(), "root-password") == (
        "root:!!:19000:0:99999:7:::\ndebian:$6$other$hash:19000:0:99999:7:::\n"
    )
    assert content(debian(), "hostname") == "127.0.0.1 localhost\n10.0.0.9 db-1\n"
    fstab = content(debian(), "data-mounts").splitlines()
    assert [line.startswith(MARK) for line in fstab] == [False, False, False, True, True, False, False]


def test_a_system_that_has_nothing_to_forget() -> None:
    """An image that nobody ran yet stays as it is, and an empty tree is none."""
    clean = system(
        {"/etc/fstab": "UUID=ABCD-1234 / ext4 defaults 0 1\n", "/etc/shadow": "root:*:1::::::\n", "/etc/hosts": ""}
    )

    assert done(clean) == {} and done(system({})) == {}


def test_red_hat_and_suse() -> None:
    """Interface files go, but for the loopback's and the template."""
    files = ("network-scripts/ifcfg-lo", "network-scripts/ifcfg-bond0", "network-scripts/route-eth0",
             "network-scripts/ifup", "network/ifcfg-lo", "network/ifcfg-eth0", "network/ifcfg.template")  # fmt: skip
    tree = {f"/etc/sysconfig/{name}": "…" for name in files}
    tree |= {"/etc/lvm/devices/system.devices": "…", "/etc/iscsi/initiatorname.iscsi": "InitiatorName=iqn.x"}
    gone = [path.removeprefix("/etc/sysconfig/") for path in done(system(dict(tree)), "network")]

    assert gone == ["network-scripts/ifcfg-bond0", "network-scripts/route-eth0", "network/ifcfg-eth0"]
    assert done(system(dict(tree)), "disk-names") == {"/etc/lvm/devices/system.devices": "remove"}


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ("nic-names", "/etc/udev/rules.d/70-persistent-net.rules"),
        ("disk-names", "/etc/multipath/bindings"),
        ("storage-names", "/etc/nvme/hostnqn"),
        ("other-agents", "/etc/salt/minion_id"),
        ("subscriptions", "/etc/pki/consumer/cert.pem"),
        ("random-seed", "/var/lib/systemd/credential.secret"),
        ("ssh-identities", "/root/.ssh/known_hosts"),
        ("crashes", "/var/crash/202601010000/vmcore"),
        ("crashes", "/var/lib/systemd/coredump/core.sshd.zst"),
        ("mail", "/var/mail/root"),
        ("temporary", "/var/tmp/x"),
        ("package-cache", "/var/cache/dnf/x.rpm"),
    ],
)
def test_what_is_promised_to_be_forgotten(item: str, path: str) -> None:
    """A file of each kind goes by the item that is named for it, and by none when that is kept."""
    tree = system({path: "…"})
    others = tuple(name for name in NAMES if name != item)

    assert any(f"{path}/".startswith(f"{gone}/") for gone in done(tree, item))
    assert done(tree, *others) == {}


def test_keys_of_one_machine() -> None:
    """Accounts in a domain, tunnels, certificates: they would make another machine this one. Where nothing makes a new
    certificate, that is told."""
    keys = {
        "/etc/krb5.keytab", "/etc/wireguard/wg0.conf", "/var/lib/sss/db/cache_x.ldb", "/var/lib/sss/secrets/x.ldb",
        "/var/lib/samba/private/secrets.tdb", "/etc/ssl/private/ssl-cert-snakeoil.key", "/var/lib/kubelet/pki/x.pem",
        "/etc/kubernetes/kubelet.conf",
    }  # fmt: skip
    kept = {"/etc/krb5.conf", "/etc/sssd/sssd.conf", "/etc/samba/smb.conf", "/etc/ssl/private/mine.key"}
    made = system(dict.fromkeys(keys | kept | {"/usr/sbin/make-ssl-cert"}, "…"))
    gone = done(made)

    assert all(any(key == path or key.startswith(f"{path}/") for path in gone) for key in keys)
    assert not any(key == path or key.startswith(f"{path}/") for path in gone for key in kept)
    assert "no-snakeoil" not in dict(remarks(made))
    made.tree.drop("/etc/ssl/private/ssl-cert-snakeoil.key")
    assert "no-snakeoil" in dict(remarks(made))
    made.tree.put("/usr/lib/systemd/system/ssl-cert.service", b"")
    assert "no-snakeoil" not in dict(remarks(made))


def test_a_loader_where_firmware_looks() -> None:
    """A system that was installed for one machine's boot entries gets the fallback, shim and GRUB; one that has it
    stays; vfat knows no case."""
    esp: dict[str, str | bytes | LinkTo] = {
        "/boot/efi/EFI/debian/shimx64.efi": b"shim",
        "/boot/efi/EFI/debian/GRUBX64.EFI": b"grub",
        "/boot/efi/EFI/debian/mmx64.efi": b"keys",
    }
    made = {one.path: one.content for one in actions(system(dict(esp)), chosen(("efi-fallback",)), OWN)}

    assert made == {
        "/boot/efi/EFI/BOOT/BOOTX64.EFI": b"shim",
        "/boot/efi/EFI/BOOT/GRUBX64.EFI": b"grub",
        "/boot/efi/EFI/BOOT/mmx64.efi": b"keys",
    }
    assert done(system({**esp, "/boot/efi/EFI/Boot/bootx64.efi": b"there"}), "efi-fallback") == {}
    del esp["/boot/efi/EFI/debian/shimx64.efi"]
    assert done(system({**esp, "/boot/efi/EFI/BOOT/x": b""}), "efi-fallback") == {
        "/boot/efi/EFI/BOOT/BOOTX64.EFI": "write"
    }


@pytest.mark.parametrize(
    ("line", "elsewhere"),
    [
        ("UUID=abcd-1234 /x vfat", False),
        ("UUID='ABCD-1234' /x vfat", False),
        ("/dev/disk/by-uuid/ABCD-1234 /x vfat", False),
        ("LABEL=swap none swap", True),
        ("PARTUUID=deadbeef-01 /x ext4", True),
        ("/dev/sda2 / ext4", False),
        ("/dev/sda3 none swap", False),
        ("/dev/sdb1 /data ext4", True),
        ("/dev/mapper/vg-data /data xfs", True),
        ("/dev/vg/data /data xfs", True),
        ("/dev/disk/by-path/pci-0 /data xfs", True),
        ("/dev/fuse /x fuse", False),
        ("//nas/share /x cifs", False),
        ("# UUID=1 /x ext4", False),
        ("UUID=1", False),
        ("", False),
    ],
)
def test_lines_of_fstab(line: str, elsewhere: bool) -> None:
    """Who is on another disk; where the image has filesystems that cannot be told, nobody is."""
    assert is_elsewhere(line, OWN) is elsewhere
    assert not is_elsewhere(line, OWN | {EVERYTHING})


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("root:$6$x$y:1:2:::", "root:!!:1:2:::"),
        ("root::1:::::", "root:!!:1:::::"),
        ("root:*:1", "root:*:1"),
        ("root:!$6$x:1", "root:!$6$x:1"),
        ("root:", "root:!!"),
    ],
)
def test_lines_of_shadow(line: str, new: str) -> None:
    """No password, or an empty one, is a way in afterwards."""
    assert locked(line) == new


def test_lines_of_hosts() -> None:
    """The old name goes, other hosts and the loopback stay; a nameless server names nobody."""
    assert names_host("10.0.0.5 WEB-1.example # me", "web-1") and names_host("127.0.1.1 any", "")
    assert not any(
        names_host(line, "web-1") for line in ("", "# web-1", "127.0.0.1 web-1", "::1 web-1", "10.0.0.6 web-10")
    )
    assert not names_host("10.0.0.6 x", "") and not names_host("10.0.0.6 localhost", "localhost")


def test_links_and_homes_do_not_lead_out() -> None:
    """A hostile passwd names no home outside; a link is removed itself, and looked through inside the tree only."""
    tree = system({
        "/etc/passwd": "a:x:1:1::/../../etc:/x\nb:x:1:1::relative:/x\nc:x:1:1::/home/c/:/x\nd:x\n",
        "/home/c/.bash_history": "…",
        "/home/e": LinkTo("/"),
        "/.bash_history": "…",
        "/etc/ssh/ssh_host_rsa_key": LinkTo("/dev/sda"),
    })  # fmt: skip

    assert homes(tree) == ("/home/c", "/home/e")
    assert done(tree, "history") == {"/home/c/.bash_history": "remove", "/home/e/.bash_history": "remove"}
    assert done(tree, "ssh-host-keys") == {"/etc/ssh/ssh_host_rsa_key": "remove"}


def test_remarks() -> None:
    """A Debian for any machine gives none; one made for its own machine tells what will go wrong elsewhere."""
    poor = system({
        "/usr/sbin/sshd": "",
        "/etc/default/grub": 'GRUB_CMDLINE_LINUX="root=/dev/sda2 console=tty0"',
        "/etc/initramfs-tools/initramfs.conf": "# MODULES=most\nMODULES=dep\n",
        "/etc/fstab": "/dev/sda2 / ext4 defaults 0 1\n# /dev/sdb1 /data ext4\n",
    })  # fmt: skip
    fedora = system({"/usr/bin/dracut": "", "/usr/bin/cloud-init": "", "/usr/bin/growpart": ""})

    sound = debian()
    sound.tree.put("/etc/fstab", content(sound, "data-mounts").encode())
    assert list(remarks(sound)) == []
    assert [code for code, _ in remarks(poor)] == [
        "no-cloud-init", "no-host-keys", "no-growpart", "root-by-name", "no-serial-console", "initrd-of-one-machine",
        "mount-by-name",
    ]  # fmt: skip
    assert [code for code, _ in remarks(fedora)] == ["initrd-of-one-machine"]
    fedora.tree.put("/usr/lib/dracut/dracut.conf.d/02-generic-image.conf", b'hostonly="no"\n')
    assert list(remarks(fedora)) == []


def test_the_table() -> None:
    """Names are said once, each has a reason, and every pattern is an absolute path or below a home."""
    patterns = [path for item in ITEMS for path in (*item.remove, *item.clear, *item.sweep, *item.empty, *item.spare)]

    assert len(set(NAMES)) == len(NAMES) and all(item.reason for item in ITEMS)
    assert all(path.startswith(("/", "~/")) and ".." not in path for path in patterns)
    assert "*" not in {pattern.split("/")[1] for pattern in patterns}


TEXTS = ("/etc/passwd", "/etc/shadow", "/etc/fstab", "/etc/hosts", "/etc/hostname", "/etc/default/grub")


@given(st.dictionaries(st.sampled_from(TEXTS), st.binary(max_size=80), max_size=6))
def test_any_texts(files: dict[str, bytes]) -> None:
    """Whatever a tenant's files hold, there is an answer, and doing it twice is doing it once."""
    tree = system(dict(files))
    list(remarks(tree))
    for action in actions(tree, ITEMS, OWN):
        assert isinstance(action, Action) and str(action)
        tree.tree.put(action.path, action.content)

    assert all(one.doing == "empty" for one in actions(tree, ITEMS, OWN))
