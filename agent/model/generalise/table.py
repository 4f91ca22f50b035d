# SPDX-License-Identifier: Apache-2.0
"""Every item that is forgotten, with its reason. `--keep NAME` leaves one out.

What is policy and not identity stays as its owner set it: time-outs, limits, sshd's settings, SELinux, firewalls,
other users' passwords. Nothing of the system is run, so an initrd is not made anew either (`remarks` looks at it).
"""

from __future__ import annotations

from agent.model.generalise import Item
from agent.model.generalise.edits import fallback_loader, nameless_hosts, new_initiator, own_mounts, root_locked
from agent.model.generalise.swap import swap_files

LOGINS = ("/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/faillog")
ITEMS: tuple[Item, ...] = (
    Item(
        "machine-id",
        "two machines with one id get one DHCP lease and one journal (machine-id(5))",
        empty=("/etc/machine-id",),
        remove=("/var/lib/dbus/machine-id", "/etc/hostid"),
    ),
    Item(
        "ssh-host-keys",
        "whoever has one server's key could pose as every other",
        remove=("/etc/ssh/ssh_host_*key*", "/etc/dropbear/dropbear_*_host_key"),
    ),
    Item(
        "cloud-init",
        "its state says that the first boot is over, and holds user-data with its secrets",
        clear=("/var/lib/cloud",),
        remove=("/var/log/cloud-init*", "/var/log/network-config.log"),
    ),
    Item(
        "hostname",
        "each server is told its own",
        write=nameless_hosts,
        empty=("/etc/hostname",),
    ),
    Item(
        "network",
        "addresses, bonds and MACs of the old server; a first boot writes its own",
        empty=("/etc/hccn.conf",),
        remove=(
            "/etc/systemd/network/10-bms-agent-*",
            "/etc/systemd/network/10-cloud-init-*",
            "/etc/netplan/50-cloud-init.yaml",
            "/etc/netplan/00-installer-config*.yaml",
            "/etc/network/interfaces.d/[5-7]0-cloud-init*",
            "/etc/sysconfig/network-scripts/ifcfg-*",
            "/etc/sysconfig/network-scripts/route-*",
            "/etc/sysconfig/network-scripts/rule-*",
            "/etc/sysconfig/network/ifcfg-*",
            "/etc/sysconfig/network/ifroute-*",
            "/etc/wicked/ifconfig/*.xml",
            "/etc/NetworkManager/system-connections/*",
        ),
        spare=("/etc/sysconfig/network-scripts/ifcfg-lo", "/etc/sysconfig/network/ifcfg-lo"),
    ),
    Item(
        "dhcp-leases",
        "a lease asked for again is another server's address",
        clear=("/var/lib/dhcp", "/var/lib/dhclient", "/var/lib/dhcpcd", "/var/lib/NetworkManager", "/var/lib/wicked"),
    ),
    Item(
        "nic-names",
        "names bound to the old NICs' MACs leave the new ones without",
        remove=(
            "/etc/udev/rules.d/70-persistent-net.rules",
            "/etc/udev/rules.d/80-persistent-net.rules",
            "/etc/systemd/network/50-cloud-init*.link",
        ),
    ),
    Item(
        "disk-names",
        "lists of the old disks' WWNs: LVM and multipath would not see the new ones",
        remove=(
            "/etc/lvm/devices/system.devices",
            "/etc/lvm/cache/.cache",
            "/etc/multipath/bindings",
            "/etc/multipath/wwids",
            "/etc/zfs/zpool.cache",
            "/etc/udev/rules.d/70-persistent-cd.rules",
            "/etc/blkid.tab*",
        ),
    ),
    Item(
        "data-mounts",
        "a boot waits for filesystems of disks that are not there",
        write=own_mounts,
    ),
    Item(
        "storage-names",
        "the name by which a storage array knows this host",
        write=new_initiator,
        remove=("/etc/nvme/hostnqn", "/etc/nvme/hostid", "/var/lib/iscsi/nodes", "/var/lib/iscsi/send_targets"),
    ),
    Item(
        "agent",
        "this agent's identity, credentials, journal and desired state",
        clear=("/var/lib/bms-agent",),
    ),
    Item(
        "other-agents",
        "identities that other agents were enrolled with",
        remove=(
            "/etc/salt/minion_id",
            "/etc/salt/pki/minion/minion.p*",
            "/etc/puppetlabs/puppet/ssl",
            "/var/lib/puppet/ssl",
            "/etc/chef/client.pem",
            "/etc/docker/key.json",
            "/var/lib/docker/engine-id",
            "/var/lib/tailscale/tailscaled.state",
            "/var/lib/zerotier-one/identity.*",
            "/var/lib/amazon/ssm/registration",
            "/var/lib/kubelet/pki",
            "/etc/kubernetes/kubelet.conf",
            "/etc/kubernetes/bootstrap-kubelet.conf",
        ),
    ),
    Item(
        "domain-accounts",
        "the old server's account in a domain: whoever has its keys speaks in its name",
        remove=("/etc/krb5.keytab", "/var/lib/krb5/host.keytab"),
        clear=("/var/lib/sss/db", "/var/lib/sss/mc", "/var/lib/sss/secrets", "/var/lib/samba/private"),
    ),
    Item(
        "tunnel-keys",
        "two machines with one key take each other's packets",
        clear=("/etc/wireguard",),
    ),
    Item(
        "snakeoil-keys",
        "a private key that Debian's ssl-cert makes for one machine",
        remove=("/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem"),
    ),
    Item(
        "subscriptions",
        "a vendor's registration is one machine's",
        clear=("/etc/pki/consumer", "/etc/pki/entitlement", "/var/lib/rhsm", "/var/lib/ubuntu-advantage/private"),
        remove=("/etc/sysconfig/rhn/systemid", "/etc/zypp/credentials.d/SCCcredentials", "/etc/SUSEConnect"),
    ),
    Item(
        "random-seed",
        "machines that start from one seed draw the same keys",
        remove=(
            "/var/lib/systemd/random-seed",
            "/var/lib/systemd/credential.secret",
            "/var/lib/urandom/random-seed",
            "/boot/efi/loader/random-seed",
            "/boot/loader/random-seed",
            "/efi/loader/random-seed",
        ),
    ),
    Item(
        "root-password",
        "the old server's password would open every server",
        write=root_locked,
        remove=("/etc/shadow-", "/etc/gshadow-", "/etc/passwd-", "/etc/group-"),
    ),
    Item(
        "authorized-keys",
        "the old server's key holders would get into every server; a first boot places the new ones",
        remove=("~/.ssh/authorized_keys*",),
    ),
    Item(
        "ssh-identities",
        "private keys and known hosts of people who logged in",
        remove=("~/.ssh/id_*", "~/.ssh/known_hosts*"),
    ),
    Item(
        "history",
        "what was typed, passwords among it",
        remove=("~/.*history", "~/.lesshst", "~/.viminfo", "~/.wget-hsts", "~/.sudo_as_admin_successful"),
    ),
    Item(
        "logs",
        "the old server's journal, logs and logins",
        clear=("/var/log/journal",),  # its folders have machine-ids for names
        sweep=("/var/log",),
        spare=LOGINS,
        empty=LOGINS,
    ),
    Item(
        "swap-files",
        "memory of the old server, keys and passwords in it; of swap partitions the header alone is read",
        blank=swap_files,
    ),
    Item(
        "crashes",
        "memory of the old server's programs",
        clear=("/var/crash", "/var/lib/systemd/coredump", "/var/lib/systemd/pstore", "/var/spool/abrt"),
    ),
    Item(
        "mail",
        "letters",
        sweep=("/var/mail", "/var/spool/mail"),
    ),
    Item(
        "temporary",
        "nobody counts on it to be there",
        clear=("/tmp", "/var/tmp"),  # noqa: S108 - of a system that does not run
    ),
    Item(
        "package-cache",
        "packages that were fetched, and can be again",
        sweep=("/var/cache/apt/archives", "/var/cache/dnf", "/var/cache/yum", "/var/cache/zypp/packages"),
    ),
    Item(
        "efi-fallback",
        "another machine's firmware has no boot entry for this disk: a copy of the loader goes where it looks",
        write=fallback_loader,
    ),
)
NAMES = tuple(item.name for item in ITEMS)
CONFIG_DRIVE = "config-drive"
"""Not of files: the partition with the old server's user-data and keys is no part of an image."""


def chosen(names: tuple[str, ...]) -> tuple[Item, ...]:
    """These items, in the table's order."""
    return tuple(item for item in ITEMS if item.name in names)
