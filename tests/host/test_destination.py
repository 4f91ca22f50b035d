# SPDX-License-Identifier: Apache-2.0
"""Where requests of the door to images go: credentials, redirects, proxies, link-local addresses."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network

import pytest
from pydantic import SecretStr

from agent.errors import AccessDenied, AgentError, ImageUnavailable
from agent.host.connections import Plain, pools, proxy_of, trust
from agent.host.fetch import RealFetch
from agent.model.destination import is_link_local, is_loopback, is_public, must_be_allowed
from agent.model.image import OPEN, Access
from tests import hostile
from tests.bodies import whole
from tests.host.namespace import in_new_network
from tests.hostile import Server, serving

IMAGE = random.Random(3).randbytes(300_000)
SIZE = len(IMAGE)


@pytest.fixture
def server() -> Iterator[Server]:
    """With an image."""
    with serving(IMAGE) as running:
        yield running


def fetched(url: str, offset: int = 0, length: int | None = None, *, fetch: RealFetch | None = None) -> bytes:
    """What comes."""
    with (fetch or RealFetch())(url, offset_bytes=offset, length_bytes=length) as body:
        return whole(body)


@pytest.mark.parametrize(
    ("access", "sent"),
    [
        (OPEN, None),
        (Access(bearer=SecretStr("t0ken")), "Bearer t0ken"),
        (Access(username="user", password=SecretStr("p:ä")), "Basic dXNlcjpwOsOk"),
        (Access(username="user"), "Basic dXNlcjo="),
    ],
)
def test_credentials(server: Server, access: Access, sent: str | None) -> None:
    """They go with the request, as the standards say."""
    with RealFetch()(server.url, access=access):
        pass

    assert server.told[0].get("Authorization") == sent


def test_credentials_in_the_url(server: Server) -> None:
    """A user in the URL is a credential like others, and in no message."""
    server.script = [hostile.good, hostile.status(404)]
    url = server.url.replace("//", "//us%65r:s3cret@") + "?sig=s3cret"
    with RealFetch()(url):
        pass
    assert server.told[0]["Authorization"] == "Basic dXNlcjpzM2NyZXQ="
    with pytest.raises(ImageUnavailable) as caught:
        fetched(url)
    assert "s3cret" not in str(caught.value) and "/image?…" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/?sig=s3cret", "http://u:s3cret@127.0.0.1:1/", "http://s3cret:x@[/"]
)
def test_messages_have_no_secrets(url: str) -> None:
    """Neither the message nor any of its causes."""
    with pytest.raises(AgentError) as caught:
        fetched(url)
    assert "s3cret" not in str(caught.value) + caught.value.causes()
    access = Access(proxy="http://u:s3cret@127.0.0.1:1")
    with pytest.raises(AgentError) as caught, RealFetch()("http://127.0.0.1:2/", access=access):
        pass
    assert "s3cret" not in str(caught.value) + caught.value.causes()


def test_token_that_is_none(server: Server) -> None:
    """A token with a line break in it is refused, not sent and not shown."""
    with pytest.raises(ImageUnavailable, match="token") as caught:
        RealFetch()(server.url, access=Access(bearer=SecretStr("s3cret\r\nX: y"))).__enter__()
    assert "s3cret" not in str(caught.value) and server.asked == []


def test_redirect(server: Server) -> None:
    """A redirect is followed, with the range, also to a relative address; credentials stay with the same server."""
    server.script = [hostile.redirect(server.url), hostile.redirect("/elsewhere")]
    with RealFetch()(server.url, offset_bytes=1000, access=Access(bearer=SecretStr("t"))) as body:
        assert whole(body) == IMAGE[1000:]

    assert server.asked == ["bytes=1000-"] * 3
    assert [each["Authorization"] for each in server.told] == ["Bearer t"] * 3


def test_redirect_elsewhere(server: Server) -> None:
    """Credentials do not go to another host, scheme or port, and not from there back again."""
    with serving(IMAGE) as other:
        server.script = [hostile.redirect(other.url)]
        other.script = [hostile.redirect(server.url.replace("127.0.0.1", "localhost"))]
        with RealFetch()(server.url, access=Access(username="u", password=SecretStr("p"))) as body:
            assert whole(body) == IMAGE

    assert "Authorization" in server.told[0]
    assert "Authorization" not in other.told[0] | server.told[1]


def test_challenge_of_a_redirects_target(server: Server) -> None:
    """Who is not the image's own server may refuse us, but cannot say who should be shown the credentials."""
    challenge = 'Bearer realm="https://evil.example/token"'
    closed = hostile.status(401, WWW_Authenticate=challenge)
    with serving(IMAGE) as other:
        server.script, other.script = [hostile.redirect(other.url), closed], [closed]
        for expected in ("", challenge):
            with pytest.raises(AccessDenied) as caught:
                RealFetch()(server.url, access=Access(username="u", password=SecretStr("p"))).__enter__()
            assert caught.value.challenge == expected


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://[fe80::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[::ffff:169.254.169.254]/",
        "file:///etc/shadow",
        "ftp://127.0.0.1/image",
        "http://[",
        "http://127.0.0.1:x/",
        "https:///image",
    ],
)
def test_redirect_that_is_not_followed(server: Server, target: str) -> None:
    """A redirect to a metadata service, a file or nonsense ends there, and nothing is asked of the target."""
    server.script = [hostile.redirect(target)]
    with pytest.raises(ImageUnavailable):
        fetched(server.url)


@pytest.mark.root
def test_name_that_leads_to_a_link_local_address() -> None:
    """Whatever a name resolves to is looked at where it was connected to: nothing is sent there."""

    def lured() -> bytes:
        from tests.loops import command

        command("ip", "link", "set", "lo", "up")
        command("ip", "address", "add", "169.254.7.7/32", "dev", "lo")
        got = b""
        with socket.create_server(("169.254.7.7", 0)) as metadata:
            metadata.settimeout(10)
            with pytest.raises(ImageUnavailable, match="link-local"):
                Plain("169.254.7.7", metadata.getsockname()[1], timeout=5).connect()
            connection, _ = metadata.accept()
            with connection:
                got = connection.recv(100)
        return got

    assert in_new_network(lured) == b""


def test_redirects_without_end(server: Server) -> None:
    """A circle of redirects ends with an error."""
    server.script = [hostile.redirect("/again")] * 20
    with pytest.raises(ImageUnavailable, match="redirects"):
        fetched(server.url)


@pytest.mark.parametrize("url", ["http://192.0.2.1/", "https://[2001:db8::1]:8443/x", "http://images.example/"])
def test_ordinary_addresses_are_allowed(url: str) -> None:
    """An address of the provisioning network is none of those."""
    must_be_allowed("fetching", url)
    assert not is_link_local("192.0.2.1")


def test_proxy(server: Server) -> None:
    """A proxy is asked for the whole URL, and is told its own credentials only."""
    access = Access(proxy=server.url.replace("//", "//me:pw@").removesuffix("/image"), bearer=SecretStr("t"))
    with RealFetch()("http://images.example/disk?x=1", access=access) as body:
        assert whole(body) == IMAGE

    told = {name.lower(): value for name, value in server.told[0].items()}
    assert told["host"] == "images.example"
    assert told["proxy-authorization"] == "Basic bWU6cHc=" and told["authorization"] == "Bearer t"


def test_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is used where an image names none, but for what the environment excepts."""
    for name, value in {"http_proxy": "proxy.example:3128", "no_proxy": "near.example", "https_proxy": ""}.items():
        monkeypatch.setenv(name, value)

    assert proxy_of("http", "far.example", 80) == "http://proxy.example:3128"
    assert proxy_of("http", "near.example", 80) is None
    assert proxy_of("https", "far.example", 443) is None
    proxy_of.cache_clear()


@pytest.mark.parametrize("access", [Access(proxy="http://["), Access(ca_pem="no certificate")])
def test_access_that_is_none(server: Server, access: Access) -> None:
    """A proxy or an authority that is none is told, before anything is asked."""
    with pytest.raises(ImageUnavailable, match=r"proxy|ca_pem"):
        RealFetch()(server.url, access=access).__enter__()
    assert server.asked == []


def test_nothing_else_is_trusted() -> None:
    """Without authorities of the image's own there are some; connections are checked, names too."""
    context = trust(None)
    assert context.check_hostname and context.verify_mode.name == "CERT_REQUIRED"
    pools(context, None)


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254.", "[::ffff:169.254.169.254]", "[::169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "2852039166",
     "[64:ff9b:1::169.254.169.254]", "[2002:a9fe:a9fe::1]", "[::ffff:0:169.254.169.254]", "0251.0376.0251.0376",
     "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16", "192.0.0.192", "[fe80::1%25eth0]", "me:pw@169.254.169.254"],
)  # fmt: skip
def test_metadata_services_by_any_name(host: str) -> None:
    """However the address is written, and whatever it is translated from."""
    with pytest.raises(ImageUnavailable, match="metadata service"), RealFetch()(f"http://{host}/latest/"):
        pass


@pytest.mark.parametrize("path", ["/\r\nX-Injected: 1", "/a b", "/\x00", "/%0d%0aX-Injected:%201", "/é"])
def test_a_url_is_one_line_of_a_request(server: Server, path: str) -> None:
    """Whatever is in it, no header of somebody else's comes of it."""
    with contextlib.suppress(AgentError):
        fetched(server.url.removesuffix("/image") + path)
    assert not any("x-injected" in map(str.lower, told) for told in server.told)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "::"])
def test_this_machine_by_any_name(address: str) -> None:
    """Its own addresses, also as IPv6."""
    assert is_loopback(address) and not is_link_local(address)
    assert not is_loopback("192.0.2.1") and not is_loopback("2001:db8::1")


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1",
     "192.0.2.1", "255.255.255.255", "fd00::1", "fe80::1", "::1", "::", "ff02::1", "::ffff:10.0.0.1", "2002:a00:1::1",
     "64:ff9b::a00:1", "::10.0.0.1"],
)  # fmt: skip
def test_what_not_all_the_internet_has(address: str) -> None:
    """Private, shared, link-local, multicast, documentation, in whichever way it is written."""
    assert not is_public(address)
    assert not is_public(address, (IPv4Network("10.1.0.0/16"), IPv6Network("fd01::/16")))


def test_what_is_allowed_beside_the_internet() -> None:
    """A network that is named, and nothing that leads out of it."""
    assert is_public("93.184.216.34") and is_public("2606:2800:220:1::1")
    assert is_public("10.1.2.3", (IPv4Network("10.1.0.0/16"),)) and is_public("fd01::7", (IPv6Network("fd01::/16"),))
    assert not is_public("2002:a00:1::1", (IPv6Network("2002::/16"),))
