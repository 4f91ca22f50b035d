# SPDX-License-Identifier: Apache-2.0
"""The real doors, opened together."""

from __future__ import annotations

from agent.host.block import RealBlock
from agent.host.clock import RealClock
from agent.host.counters import RealCounters
from agent.host.datagrams import RealDatagrams
from agent.host.doors import Host
from agent.host.drives import RealDrives
from agent.host.efi import RealEfi
from agent.host.erasers import RealErasers
from agent.host.ethtool import RealEthtool
from agent.host.fetch import RealFetch
from agent.host.files import RealFiles
from agent.host.ipmi import RealIpmi
from agent.host.lldp import RealLldp
from agent.host.lock import RealLock
from agent.host.netlink import RealNetlink
from agent.host.nftables import RealNftables
from agent.host.peer import RealPeer
from agent.host.power import RealPower
from agent.host.probe import RealProbe
from agent.host.processors import RealProcessors
from agent.host.run import RealRun
from agent.host.tpm import RealTpm
from agent.host.traffic import RealTraffic
from agent.host.udev import RealUdev


def host(root: str = "/") -> Host:
    """This machine. With another `root`, files are those below it, and all else is still this machine."""
    run = RealRun()
    files = RealFiles(root)
    return Host(
        run=run,
        files=files,
        udev=RealUdev(run),
        block=RealBlock(),
        netlink=RealNetlink(),
        probe=RealProbe(),
        datagrams=RealDatagrams(),
        lock=RealLock(files),
        nftables=RealNftables(),
        traffic=RealTraffic(),
        fetch=RealFetch(),
        power=RealPower(run, files),
        clock=RealClock(),
        counters=RealCounters(files),
        efi=RealEfi(files),
        ipmi=RealIpmi(),
        lldp=RealLldp(),
        drives=RealDrives(),
        erasers=RealErasers(),
        ethtool=RealEthtool(),
        processors=RealProcessors(),
        peer=RealPeer(),
        tpm=RealTpm(),
    )
