# SPDX-License-Identifier: Apache-2.0
"""Where a request may go, and with which credentials. Pure.

A server is on the provisioning network, but where it redirects to is not trusted: not with credentials, not from TLS
to none, not to this machine itself, and never a link-local address, where metadata services live.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import inet_aton, inet_ntoa
from typing import TypeVar
from urllib.parse import unquote, urljoin, urlsplit

from pydantic import SecretStr

from agent.errors import ImageUnavailable
from agent.model.image import Access
from agent.model.url import named, origin, without_user

A = TypeVar("A")
Ask = Callable[[str, dict[str, str]], tuple[A, str | None]]
"""Asks a URL, with the header that lets us in: the answer, and where it leads on, if it does; that one is closed."""
MOST_REDIRECTS = 5
METADATA = frozenset(
    map(
        ip_address,
        ("fd00:ec2::254", "fd20:ce::254", "fd00:42::42", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    )
)
"""Of AWS, Google, Scaleway, Alibaba, Oracle, Azure: these are not link-local."""
TRANSLATED = tuple(map(IPv6Network, ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96")))


def with_its_user(doing: str, url: str, access: Access) -> tuple[str, Access]:
    """The URL without the user and password in it, which are credentials as others are."""
    try:
        bare, user, password = without_user(url)
        origin(bare)
    except ValueError as error:
        raise ImageUnavailable(doing, "it is no URL") from error
    if user is None:
        return bare, access
    return bare, access.model_copy(update={"bearer": None, "username": user, "password": SecretStr(password)})


def authorization(doing: str, access: Access) -> dict[str, str]:
    """The header that lets us in (RFC 6750, RFC 7617)."""
    if access.bearer is not None:
        token = access.bearer.get_secret_value()
        if not (token.isascii() and token.isprintable()):
            raise ImageUnavailable(doing, "its bearer token is none: it has characters that no header can have")
        return {"Authorization": f"Bearer {token}"}
    if access.username is not None:
        password = access.password.get_secret_value() if access.password else ""
        return {"Authorization": f"Basic {b64encode(f'{access.username}:{password}'.encode()).decode()}"}
    return {}


def followed(doing: str, url: str, access: Access, ask: Ask[A]) -> tuple[A, bool]:
    """The answer at the end of the redirects, and whether it is of the server that was named. Raises
    `ImageUnavailable`.
    """
    url, access = with_its_user(doing, url, access)
    home = origin(url)
    for _ in range(MOST_REDIRECTS + 1):
        must_be_allowed(doing, url)
        is_home = origin(url) == home
        answer, location = ask(url, authorization(doing, access) if is_home else {})
        if not location:
            return answer, is_home
        url = next_url(doing, url, location)
    raise ImageUnavailable(doing, f"more than {MOST_REDIRECTS} redirects")


def next_url(doing: str, url: str, location: str) -> str:
    """Where a redirect leads. Raises `ImageUnavailable` if it leads out of TLS, to this machine, or nowhere."""
    try:
        target, _, _ = without_user(urljoin(url, location))
        secured = origin(target)[0] == "https"
    except ValueError as error:
        raise ImageUnavailable(doing, "it is redirected to what is no URL") from error
    if urlsplit(url).scheme == "https" and not secured:
        raise ImageUnavailable(doing, f"it is redirected out of TLS, to {named(target)}")
    if is_here(target) and not is_here(url):
        raise ImageUnavailable(doing, f"it is redirected to this machine itself, to {named(target)}")
    return target


def must_be_allowed(doing: str, url: str) -> None:
    """Raises `ImageUnavailable` for another scheme, or a link-local address. What a name leads to is looked at when
    it is connected to (`agent.host.connections`): it may be another address by then.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ImageUnavailable(doing, f"only http and https are fetched, not {named(url)}")
    address = literal(parts.hostname)
    if address and is_link_local(address):
        raise ImageUnavailable(doing, f"{named(url)} is link-local, or a metadata service")


def literal(hostname: str) -> str:
    """The address that a host name is, in any of the ways that inet_aton(3) reads; "" for a name."""
    host = unquote(hostname).rstrip(".")
    with suppress(ValueError):
        return str(ip_address(host))
    with suppress(OSError, ValueError):  # of a NUL
        return inet_ntoa(inet_aton(host))
    return ""


def is_here(url: str) -> bool:
    """Whether it leads to this machine itself, as far as can be seen without asking: 0.0.0.0 does, too (ip(7))."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    address = literal(host)
    return is_loopback(address) if address else host == "localhost" or host.endswith(".localhost")


def is_loopback(text: str) -> bool:
    """127/8 and ::1, also when the first is written as IPv6, and what stands for any of one's own."""
    return any(each.is_loopback or each.is_unspecified for each in meant(text))


def is_link_local(text: str) -> bool:
    """169.254/16 and fe80::/10, also when the first is written as IPv6; and where clouds have their metadata else."""
    return any(each.is_link_local or each in METADATA for each in meant(text))


def is_public(text: str, inside: Sequence[IPv4Network | IPv6Network] = ()) -> bool:
    """Whether all the Internet has that address, or it is in one of these networks; also whatever it leads to."""
    return all(
        (each.is_global and not each.is_multicast) or any(each in network for network in inside) for each in meant(text)
    )


def meant(text: str) -> tuple[IPv4Address | IPv6Address, ...]:
    """An address, and the IPv4 address that it leads to, if it does: mapped and compatible (RFC 4291, section 2.5.5),
    6to4 (RFC 3056), and by a translator's well-known prefixes (RFC 6052, RFC 8215, RFC 2765)."""
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return (address,)
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    inside = [address.ipv4_mapped, address.sixtofour, *(last for network in TRANSLATED if address in network)]
    return (address, *(each for each in inside if each is not None))
