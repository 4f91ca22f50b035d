# SPDX-License-Identifier: Apache-2.0
"""What comes over the network from whoever is there: neighbours, name and time services, registries, metadata."""

from __future__ import annotations

import json
import socket
import struct
from datetime import UTC, datetime

from agent.api.ironic.desk import read
from agent.api.ironic.refusal import Refusal
from agent.apply.source.checksums import digest_of
from agent.errors import ConfigError, DecodeError, ImageRefused, LinkError
from agent.host.line import SIZES, Line
from agent.link.ironic.client import reason
from agent.link.relay import Beside, judged
from agent.model.frozen import decode
from agent.model.ironic.asked import Asked
from agent.model.ironic.call import Call
from agent.model.ironic.parameters import not_followed, parsed, words_of
from agent.model.lldp import neighbour, tlvs
from agent.model.mdns import SRV, TXT, labels, question, records, service
from agent.model.network.network_data import network_config
from agent.model.oci import Manifest
from agent.model.sntp import answered
from agent.model.sntp import question as time_question
from tests.fuzz.devices import of
from tests.fuzz.row import Row
from tests.link.equipped import ANNOUNCED
from tests.model.hardware import answers
from tests.model.network.test_network_data import BONDED
from tests.model.test_mdns import ADDRESSES, NAME, PLACE, WORDS
from tests.responder import answer, time_answer

COOKIE = b"cookies!"
ANSWERED = b'{"answer": {"status": 200, "date": "Sun, 22 Nov 2026 12:00:00 GMT"}, "failed": null}'
CALLED = b'{"page": "lookup", "macs": ["00:11:22:33:44:55"], "node_uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"}'
REFUSED = b'{"error_message": "{\\"faultstring\\": \\"Node is locked\\", \\"faultcode\\": \\"Client\\"}"}'
ASKED = (
    b'{"id": "0b7d2c55-0d5e-4f0b-9d5e-2f1f3a4b5c6d", "page": "GET /v1/commands/\\u2026", "token": "t", '
    b'"command_id": "1", "waits": true, "is_announced": false}'
)
ORDERED = b'{"name": "standby.sync", "params": {"a": [1, {"b": null}]}}'
SAID = SIZES.pack(len(ANSWERED), 3) + ANSWERED + b"{}\n"
LINE_BYTES = 64 * 1024
LLDP = answers.lldp(
    (1, b"\4\2\0\0\0\0\1"), (2, b"\5eth1"), (3, b"\0\x78"), (5, b"leaf-3a"), (8, b"\5\1\n\0\0\1\2\0\0\0\1\0"),
    (127, b"\x00\x80\xc2\x01\0\x2a"), (127, b"\x00\x80\xc2\x03\x01\x2d\7storage"), (127, b"\x00\x12\x0f\x04\x24\0"),
)  # fmt: skip
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DIGEST = "0123456789abcdef" * 4
SUMS = f"{DIGEST}  debian.raw\nSHA256 (other.raw) = {DIGEST}\n".encode()
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": f"sha256:{DIGEST}", "size": 2},
        "layers": [{"mediaType": "application/octet-stream", "digest": f"sha256:{DIGEST}", "size": 1 << 30}],
    }
).encode()
CMDLINE = (
    b"ipa-api-url=http://192.0.2.1:6385 ipa-insecure=1 ipa-inspection-collectors=default,logs ipa-debug=true "
    b"ipa-lldp-timeout=31 ipa-ntp-server=192.0.2.2 ipa-inspection-callback-url=http://[2001:db8::1]:5050/v1 quiet"
)


def units(raw: bytes) -> object:
    """Bare TLVs: all of them are in the frame."""
    found = tlvs(raw)
    assert sum(2 + len(one.value) for one in found) <= len(raw)
    return found


def mdns(raw: bytes) -> object:
    """The service, of a packet that calls itself an answer."""
    return service(records(raw[:2] + b"\x84\0" + raw[4:]), NAME)


def cmdline(raw: bytes) -> object:
    """What Ironic told the kernel."""
    words = words_of(raw.decode(errors="replace"))
    return parsed(words), not_followed(words)


def pieces(raw: bytes) -> object:
    """What the process beside root says on its line: all that came, in order, and nothing that did not."""
    here, there = socket.socketpair()
    with here, Line(there, "listening") as line:
        here.sendall(raw[:LINE_BYTES])
        here.shutdown(socket.SHUT_WR)
        found = []
        while (piece := line.receive(2.0)) is not None:
            found.append(piece)
    assert b"".join(SIZES.pack(len(head), len(body)) + head + body for head, body in found) == raw[:LINE_BYTES]
    return found


def elsewhere() -> tuple[bytes, ...]:
    """Packets of responders, one with a name that is packed."""
    first = PLACE.replace(labels(NAME), b"\x02ab\xc0\x0c", 1)
    plain = struct.pack(">HHH", 0, 0, 443) + labels("ironic.example.org.")
    return answer(PLACE, WORDS, ADDRESSES), answer(PLACE, first), answer(PLACE, plain[:0]), question(NAME, (SRV, TXT))


ROWS = {
    "lldp": of(neighbour, LLDP, ANNOUNCED),
    "lldp units": of(units, LLDP, ANNOUNCED),
    "mdns": Row(mdns, elsewhere),
    "sntp": of(lambda raw: answered(raw, COOKIE), time_answer(time_question(COOKIE), NOW)),
    "network data": of(network_config, json.dumps(BONDED).encode()),
    "oci manifest": of(lambda raw: decode(Manifest, raw, "reading"), MANIFEST),
    "pieces of a line": Row(pieces, lambda: [SAID, 2 * SAID], (LinkError,)),
    "outcome of a call": Row(
        lambda raw: judged(raw, "calling", Beside()), lambda: [ANSWERED], (LinkError, ConfigError)
    ),
    "call to Ironic": Row(lambda raw: decode(Call, raw, "serving"), lambda: [CALLED], (DecodeError,)),
    "refusal of Ironic's": of(reason, REFUSED),
    "request of Ironic's": Row(lambda raw: decode(Asked, raw, "serving"), lambda: [ASKED], (DecodeError,)),
    "order of Ironic's": Row(read, lambda: [ORDERED], (Refusal,)),
    "checksums": Row(
        lambda raw: digest_of("http://images/debian.raw", raw.decode(errors="replace"), "reading"),
        lambda: [SUMS],
        (ImageRefused,),
    ),
    "ironic command line": Row(cmdline, lambda: [CMDLINE], (ConfigError, DecodeError)),
}
