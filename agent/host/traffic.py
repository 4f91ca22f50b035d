# SPDX-License-Identifier: Apache-2.0
"""The door to traffic control (tc): limits of what a link sends and receives.

What is sent passes a hierarchical token bucket (htb) at the link's root. What is received is led through an
intermediate device (ifb) first, and passes one there: so it queues, and TCP slows down without losses. In: an index
and a `Bandwidth`. Out: which limits there are. A token bucket filter (tbf) cannot do more than 34 Gbit/s here.

How what is there is known again: roots have `Bandwidth.handle` as their number, made odd where both directions are
limited; the ifb of a link has the link's index plus `IFB_INDEX`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from struct import Struct
from typing import Any

from agent.errors import HostError
from agent.host.rtnetlink.channel import channel
from agent.host.rtnetlink.message import attributes, messages, string
from agent.model.network import Bandwidth, IPNetwork

IFB_INDEX = 0x40000000
OURS = 0x8000
BROKEN = 1
NEW_QDISC, GET_QDISC = 36, 38  # linux/rtnetlink.h
TCMSG = Struct("=B3xiIII")  # struct tcmsg: family, index of the link, handle, parent, info
TCA_KIND = 1
ROOT = 0xFFFFFFFF  # TC_H_ROOT, linux/pkt_sched.h
INGRESS = 0xFFFF0000
ALL, IPV4, IPV6 = 0x0003, 0x0800, 0x86DD  # linux/if_ether.h, ETH_P_*
HEADER_BYTES = 14  # ETH_HLEN
BURST_S = 0.01
LEAST_BURST_BYTES = 32 * 1024
QUANTUM_BYTES = 60_000  # the kernel's own guess grows with the rate, until it complains
QUEUE_PACKETS = 1000  # of an ifb: its 32 are too few for bursts
SOURCE, DESTINATION = {4: 12, 6: 8}, {4: 16, 6: 24}
"""Where an address stands in a header of IP."""
GONE = (errno.ENOENT, errno.EINVAL, errno.ENODEV)


class RealTraffic:
    """`doors.Traffic` over rtnetlink."""

    def limit(self, link: str, bandwidth: Bandwidth) -> None:
        """What is there already stays; other limits of ours go, and then these come."""
        handle = bandwidth.handle
        with talking(f"limiting the bandwidth of {link}") as route:
            index = index_of(route, link)
            roots, diverted = shapers_now()
            there = shaper(index, roots, diverted)
            if there == handle:
                return
            if there is not None:
                remove(route, index, roots.get(index))
            if handle is None:
                return
            mtu = int(route.get_links(index)[0].get_attr("IFLA_MTU"))
            number = handle | (bandwidth.egress_mbps is not None and bandwidth.ingress_mbps is not None)
            if bandwidth.ingress_mbps is not None:
                redirect(route, index)
                shape(route, index + IFB_INDEX, number, bandwidth.exempt, SOURCE, rate(bandwidth.ingress_mbps, mtu))
            if bandwidth.egress_mbps is not None:
                shape(route, index, number, bandwidth.exempt, DESTINATION, rate(bandwidth.egress_mbps, mtu))

    def shapers(self) -> dict[int, int]:
        """By one dump."""
        roots, diverted = shapers_now()
        links = {index % IFB_INDEX for index in roots}
        return {link: number for link in links if (number := shaper(link, roots, diverted)) is not None}


def index_of(route: Any, link: str) -> int:
    """What the kernel calls it. Raises `HostError`."""
    found = route.link_lookup(ifname=link)
    if not found:
        raise HostError(f"limiting the bandwidth of {link}", "No such device")
    return int(found[0])


def shapers_now() -> tuple[dict[int, int], set[int]]:
    """Index → number of a root of ours; and which links lead elsewhere what they receive."""
    doing = "reading the bandwidth limits"
    with channel(doing) as kernel:
        data = kernel.table(GET_QDISC, bytes(TCMSG.size), doing)
    found = [
        (*TCMSG.unpack_from(body)[1:3], string(attributes(body, TCMSG.size)[TCA_KIND]))
        for kind, _, _, body in messages(data)
        if kind == NEW_QDISC
    ]
    roots = {index: handle >> 16 for index, handle, kind in found if kind == "htb" and handle >> 16 >= OURS}
    return roots, {index for index, _, kind in found if kind == "ingress"}


def shaper(link: int, roots: dict[int, int], diverted: set[int]) -> int | None:
    """`Bandwidth.handle` of what a link has, `BROKEN`, or `None`."""
    egress, ingress = roots.get(link), roots.get(link + IFB_INDEX)
    number = egress or ingress
    if number is None:
        return None
    is_whole = egress == ingress if number & 1 else egress is None or ingress is None
    if not is_whole or (ingress is not None and link not in diverted):
        return BROKEN
    return number & ~1


def remove(route: Any, index: int, number: int | None) -> None:
    """All that is ours on a link, the root of this number among it; what is missing is no error."""
    if number is not None:
        with fine(*GONE):
            route.tc("del", index=index, parent=ROOT, handle=number << 16)
    with fine(*GONE):
        route.tc("del", "ingress", index=index, handle=INGRESS)
    with fine(*GONE):
        route.link("del", index=index + IFB_INDEX)


def redirect(route: Any, index: int) -> None:
    """Lead all that a link receives through an ifb of its own."""
    ifb = index + IFB_INDEX
    with fine(*GONE):  # of a link before this one, or of an attempt before this one
        route.link("del", index=ifb)
    route.link("add", index=ifb, ifname=f"ifb{index}", kind="ifb", txqlen=QUEUE_PACKETS)
    route.link("set", index=ifb, state="up")
    with fine(errno.EEXIST):
        route.tc("add", "ingress", index=index, handle=INGRESS)
    action = {"kind": "mirred", "direction": "egress", "action": "redirect", "ifindex": ifb}
    add_filter(route, index, 0xFFFF, ALL, 1, ["0x0/0x0+0"], action=[action], target=0x10000)


def rate(mbps: int, mtu: int) -> int:
    """Bytes a second, as htb counts them: a limit is of IP packets (of full size), and a frame has a header more."""
    return mbps * 1_000_000 * (mtu + HEADER_BYTES) // mtu // 8


def shape(
    route: Any, index: int, number: int, exempt: tuple[IPNetwork, ...], at: dict[int, int], bytes_per_s: int
) -> None:
    """A bucket at the root of a link. Exempt traffic goes to the root itself: htb sends that as it comes."""
    route.tc("replace", "htb", index=index, handle=number << 16, parent=ROOT, default=1)
    burst = max(LEAST_BURST_BYTES, int(bytes_per_s * BURST_S))
    bucket = {"rate": bytes_per_s, "ceil": bytes_per_s, "burst": burst, "cburst": burst, "quantum": QUANTUM_BYTES}
    route.tc("add-class", "htb", index=index, handle=number << 16 | 1, parent=number << 16, **bucket)
    with fine(errno.ENOENT):  # a kernel without fq_codel: then it is one queue
        route.tc("add", "fq_codel", index=index, handle=0, parent=number << 16 | 1)
    for network in exempt:
        protocol = IPV4 if network.version == 4 else IPV6
        keys = words(network, at[network.version])
        add_filter(route, index, number, protocol, network.version, keys, target=number << 16)


def add_filter(route: Any, index: int, number: int, protocol: int, priority: int, keys: list[str], **what: Any) -> None:
    """A u32 filter at a root."""
    route.tc("add-filter", "u32", index=index, parent=number << 16, protocol=protocol, prio=priority, keys=keys, **what)


def words(network: IPNetwork, offset: int) -> list[str]:
    """Comparisons of 32 bits each, for all that a network's mask has."""
    value, mask = network.network_address.packed, network.netmask.packed
    pairs = [(value[at : at + 4].hex(), mask[at : at + 4].hex(), offset + at) for at in range(0, len(value), 4)]
    return [f"0x{one}/0x{bits}+{at}" for one, bits, at in pairs if int(bits, 16)] or [f"0x0/0x0+{offset}"]


@contextmanager
def talking(doing: str) -> Iterator[Any]:
    """A netlink socket for one call. What the kernel refuses is a `HostError`."""
    from pyroute2 import IPRoute, NetlinkError  # lazy: 0.1 s of import time

    try:
        with IPRoute() as route:
            yield route
    except NetlinkError as error:
        raise HostError(doing, str(error.args[1]) if len(error.args) > 1 else str(error)) from error
    except OSError as error:
        raise HostError(doing, error.strerror or str(error)) from error


@contextmanager
def fine(*codes: int) -> Iterator[None]:
    """Refusals that are none."""
    from pyroute2 import NetlinkError  # lazy, as above

    try:
        yield
    except NetlinkError as error:
        if error.code not in codes:
            raise
