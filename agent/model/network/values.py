# SPDX-License-Identifier: Apache-2.0
"""What network models are made of: names, MACs, addresses, in the forms that the kernel and JSON both know."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Annotated, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field

MAC_PATTERN = r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"
NAME_PATTERN = r"^[^\s/:%.][^\s/:%]{0,14}$"
"""dev_valid_name() in net/core/dev.c: less than IFNAMSIZ (16), no '/', ':' or space. '%' would be a template; what
begins with a dot (the kernel refuses only '.' and '..') hides from who looks into /sys."""

MADE_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$"
"""Of links that are made here: what goes into shells' and daemons' files means nothing else there."""


def as_text(value: object) -> object:
    """JSON's numbers, and true and false, are no addresses and no networks, though Python makes some of them."""
    if isinstance(value, int):
        raise ValueError("an address or a network is a text")
    return value


IPAddress: TypeAlias = Annotated[IPv4Address | IPv6Address, BeforeValidator(as_text)]
IPInterface: TypeAlias = Annotated[IPv4Interface | IPv6Interface, BeforeValidator(as_text)]
IPNetwork: TypeAlias = Annotated[IPv4Network | IPv6Network, BeforeValidator(as_text)]
Addressv4: TypeAlias = Annotated[IPv4Address, BeforeValidator(as_text)]
Networkv4: TypeAlias = Annotated[IPv4Network, BeforeValidator(as_text)]


def lower_case(text: object) -> object:
    """MAC addresses are compared in lower case."""
    return text.lower() if isinstance(text, str) else text


Mac = Annotated[str, BeforeValidator(lower_case), Field(pattern=MAC_PATTERN)]
LinkName = Annotated[str, Field(pattern=NAME_PATTERN, description="at most 15 characters, no '/', ':', '%' or space")]
Mtu = Annotated[int, Field(ge=1280, le=65535, description="bytes; IPv6 needs 1280 (RFC 8200 section 5)")]

MAIN_TABLE = 254  # RT_TABLE_MAIN, linux/rtnetlink.h
DEFAULT_V4 = IPv4Network("0.0.0.0/0")
DEFAULT_V6 = IPv6Network("::/0")

AnyAddress = TypeVar("AnyAddress", IPAddress, IPInterface)


def in_order(addresses: Iterable[AnyAddress]) -> tuple[AnyAddress, ...]:
    """Those of IPv4 first; addresses of two versions cannot be compared."""
    return tuple(sorted(addresses, key=lambda one: (one.version, one)))
