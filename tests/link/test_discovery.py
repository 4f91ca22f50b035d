# SPDX-License-Identifier: Apache-2.0
"""Where Ironic is, by multicast DNS; and the time, by whoever keeps it. Both on a fake machine."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from threading import Event

import pytest

from agent.errors import DecodeError, LinkError
from agent.host.fake import FakeHost
from agent.link.ironic.clock import set_clock
from agent.link.ironic.discovery import API, INSPECTION, discovered
from agent.model.ironic.parameters import Parameters, parsed, words_of
from agent.model.mdns import GROUPS, PORT, SRV, TXT, A, labels
from tests.hardware import link
from tests.responder import answer, resource, time_answer

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SERVER = "192.0.2.123"


def network(*answers: bytes) -> FakeHost:
    """A machine on a network where somebody answers, in turn; the last answer is given for ever."""
    host = FakeHost.with_files({})
    host.machine.links["eno1"] = link("eno1", "192.0.2.10/24", up=True)
    left = list(answers)
    if answers:
        host.machine.correspondents[str(GROUPS[0]), PORT] = lambda _: [left.pop(0) if len(left) > 1 else left[0]]
    return host


def service(name: str, *words: str, port: int = 6385, host: str = "c.local.", address: str = "192.0.2.1") -> bytes:
    """All that a responder says of a service."""
    place = resource(name, SRV, struct.pack(">HHH", 0, 0, port) + labels(host))
    text = b"".join(bytes([len(word)]) + word.encode() for word in words)
    return answer(place, resource(name, TXT, text), resource(host, A, ip_address(address).packed))


def found(host: FakeHost, cmdline: str) -> Parameters:
    """What becomes of these words."""
    return discovered(host, parsed(words_of(cmdline)), Event())


@pytest.mark.parametrize(
    ("told", "url"),
    [
        (service(API), "https://192.0.2.1:6385"),
        (service(API, "protocol=http", "path=/baremetal/"), "http://192.0.2.1:6385/baremetal"),
        (service(API, port=80), "http://192.0.2.1:80"),
        (service(API, host="ironic.example.org."), "https://ironic.example.org:6385"),
    ],
)
def test_where_the_api_is(told: bytes, url: str) -> None:
    """Address, port, protocol and path of what was answered; a name outside of .local is asked of DNS."""
    for cmdline in ("ipa-api-url=mdns", "ipa-use-mdns=1"):
        assert found(network(told), cmdline).api_urls == (url,)


def test_where_the_inspection_goes() -> None:
    """It has a name of its own."""
    assert found(network(service(INSPECTION)), "ipa-inspection-callback-url=mdns").callbacks == (
        "https://192.0.2.1:6385/v1/continue",
    )


def test_what_anybody_may_say() -> None:
    """Two parameters that nobody said at boot; not a token, not whom to trust."""
    words = ("ipa_ntp_server=192.0.2.5", "ipa_inspection_callback_url=http://i/v1/x", "ipa_insecure=1", "ipa_debug=1")
    made = found(network(service(API, *words)), "ipa-api-url=mdns")

    assert (made.ntp_server, made.inspection_urls) == ("192.0.2.5", ("http://i/v1/x",))
    assert (made.insecure, made.debug) == (False, False)


def test_what_was_said_at_boot_counts() -> None:
    """A stranger on the network sends neither the clock nor the inventory elsewhere."""
    words = ("ipa_ntp_server=192.0.2.66", "ipa_inspection_callback_url=http://stranger/v1/x")
    said = "ipa-api-url=mdns ipa-ntp-server=192.0.2.4 ipa-inspection-callback-url=http://ours/v1/x"
    made = found(network(service(API, *words)), said)

    assert (made.ntp_server, made.inspection_urls) == ("192.0.2.4", ("http://ours/v1/x",))
    assert made.api_urls == ("https://192.0.2.1:6385",)


@pytest.mark.parametrize("word", ["ipa_ntp_server=-x", "ipa_inspection_callback_url=gopher://i", "path=:x\\ y,z"])
def test_nonsense_of_somebody(word: str) -> None:
    """What cannot be a server, or a URL, is an error of his who said it, not a fault of ours."""
    with pytest.raises(DecodeError, match="reading where Ironic is"):
        found(network(service(API, word)), "ipa-api-url=mdns")


def test_nobody_is_asked_unasked() -> None:
    """A URL that is known is the one."""
    host = network(service(API))

    assert found(host, "ipa-api-url=http://known ipa-use-mdns=1").api_urls == ("http://known",)
    assert not [call for call in host.faults.calls if call.startswith("datagrams")]


def test_answers_in_pieces_and_in_pieces_that_are_broken() -> None:
    """Damage is passed over; an address that did not come along is asked for."""
    place = answer(resource(API, SRV, struct.pack(">HHH", 0, 0, 6385) + labels("c.local.")))
    address = answer(resource("c.local.", A, bytes([192, 0, 2, 1])))

    assert found(network(b"damaged", place, address), "ipa-api-url=mdns").api_urls == ("https://192.0.2.1:6385",)


@pytest.mark.parametrize(
    "told",
    [(), (service(INSPECTION),), (service(API, address="127.0.0.1"),), (service(API, "protocol=gopher"),)],
)
def test_nobody_answers_of_use(told: tuple[bytes, ...]) -> None:
    """Silence, another service, an address that is ours, a protocol that is none: all of it is an error to be tried
    again.
    """
    with pytest.raises(LinkError):
        found(network(*told), "ipa-api-url=mdns")


def keeping(server: Callable[[bytes], list[bytes]] | None) -> FakeHost:
    """A machine that was asleep for years, with a time server."""
    host = FakeHost.with_files({})
    if server is not None:
        host.machine.correspondents[SERVER, 123] = server
    return host


def test_the_clock_is_set() -> None:
    """To the server's time."""
    host = keeping(lambda question: [time_answer(question, NOW)])
    set_clock(host, Parameters(ntp_server=SERVER), Event())

    assert abs(host.machine.now - NOW) < timedelta(seconds=1)


@pytest.mark.parametrize("server", [None, lambda question: [time_answer(question, NOW, stratum=16)]])
def test_the_clock_cannot_be_set(server: Callable[[bytes], list[bytes]] | None) -> None:
    """Nobody answers, or nobody who knows: told, and an error only where it must be set."""
    host = keeping(server)
    before = host.machine.now
    set_clock(host, Parameters(ntp_server=SERVER), Event())

    assert host.machine.now - before < timedelta(minutes=1)
    with pytest.raises(LinkError, match=f"asking {SERVER} for the time"):
        set_clock(host, Parameters(ntp_server=SERVER, needs_clock=True), Event())
