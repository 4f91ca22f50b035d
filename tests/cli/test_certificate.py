# SPDX-License-Identifier: Apache-2.0
"""`bms-agent disk verify`: who has a certificate of erasure, and nothing else of us, can tell whether it is one."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.cli.certificate import verify
from agent.cli.disk import said
from agent.errors import AgentError, CertificateForged, EraseUnproven
from agent.host.fake import FakeHost
from agent.host.fake.erasing import NvmeMind
from agent.job.journal import Job
from agent.model.erasing.certificate import IN_RESULT, SignedCertificate, signed
from agent.model.signature import fingerprint
from tests.apply.erasable import drive, served
from tests.apply.erasable import machine as bare
from tests.controller.machine import Machine
from tests.controller.test_erasure import erased
from tests.controller.world import World


def job(**facts: object) -> Job:
    """A drive is erased."""
    made = bare()
    drive(made, NvmeMind, **facts)
    return served(FakeHost.of(made))


def kept(tmp_path: Path, printed: str) -> str:
    """In a file."""
    (tmp_path / "certificate.json").write_text(printed)
    return str(tmp_path / "certificate.json")


def certificate(done: Job) -> SignedCertificate:
    """Of a job."""
    return SignedCertificate.model_validate_json(str(done.result[IN_RESULT]))


def test_what_was_printed_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its text, and by the key or its fingerprint; it says what was erased, of which node, and how."""
    done = job()
    key, file = certificate(done).key, kept(tmp_path, said(done, as_json=True))
    for word in (key, fingerprint(key)):
        verify(file, key=word, node="n1")
    told = capsys.readouterr().out

    assert f"signed by {key} ({fingerprint(key)}), and not changed since\n" in told
    assert "request r1, node n1" in told and "D0: erased by nvme_sanitize_crypto" in told and "purge" in told


def test_without_a_key_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Anybody can make a key."""
    verify(kept(tmp_path, certificate(job()).model_dump_json()))

    assert "whose that is it cannot say" in capsys.readouterr().out


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it says, and by whose key; nothing else is printed."""
    one = certificate(job())
    capsys.readouterr()  # the job's log
    verify(kept(tmp_path, one.model_dump_json()), json=True)
    (told,) = json.loads(capsys.readouterr().out)["certificates"]

    assert told == {"says": json.loads(one.opened().model_dump_json()), "key": one.key}


def test_as_the_controller_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every erasure that `bmsctl node erasure --json` prints."""
    world = World(tmp_path / "data")
    machine = Machine(world).power_on()
    for _ in range(2):
        erased(world, machine)
        world.clock.move(60)
    shown = world.user("GET", f"/v1/nodes/{machine.node_id}/erasures")
    world.close()
    verify(kept(tmp_path, json.dumps(shown)), node=machine.node_id)

    assert capsys.readouterr().out.count("SN-sdb: erased by zero") == 2


def test_what_is_not_proven_is_an_error(tmp_path: Path) -> None:
    """A genuine certificate of a drive that kept what it held."""
    with pytest.raises(EraseUnproven, match="D0: failed"):
        verify(kept(tmp_path, certificate(job(keeps=True)).model_dump_json()))


def edited(one: SignedCertificate) -> SignedCertificate:
    """Another serial."""
    return one.model_copy(update={"certificate": one.certificate.replace('"D0"', '"D1"')})


def respelt(one: SignedCertificate) -> SignedCertificate:
    """The same facts in other bytes."""
    return one.model_copy(update={"certificate": json.dumps(json.loads(one.certificate), indent=1)})


def signed_by_another(one: SignedCertificate) -> SignedCertificate:
    """By a key that somebody made for it."""
    return signed(one.opened(), Ed25519PrivateKey.generate())


def with_another_key(one: SignedCertificate) -> SignedCertificate:
    """As if it were another's."""
    return one.model_copy(update={"key": signed_by_another(one).key})


def flipped(one: SignedCertificate) -> SignedCertificate:
    """A bit of its signature."""
    raw = bytearray(b64decode(one.signature))
    raw[7] ^= 1
    return one.model_copy(update={"signature": b64encode(raw).decode()})


def cut(one: SignedCertificate) -> SignedCertificate:
    """A signature of half the length."""
    return one.model_copy(update={"signature": b64encode(b64decode(one.signature)[:32]).decode()})


def of_another_node(one: SignedCertificate) -> SignedCertificate:
    """A genuine one, of another erasure."""
    return certificate(job_of("n2"))


def job_of(node: str) -> Job:
    """Of that node."""
    made = bare()
    drive(made, NvmeMind)
    return served(FakeHost.of(made), node_id=node)


@pytest.mark.parametrize(
    "forged", [edited, respelt, signed_by_another, with_another_key, flipped, cut, of_another_node]
)
def test_what_is_forged_is_refused(forged: Callable[[SignedCertificate], SignedCertificate], tmp_path: Path) -> None:
    """Edited, signed by somebody else, or another node's."""
    one = certificate(job())
    file = kept(tmp_path, forged(one).model_dump_json())
    with pytest.raises(CertificateForged):
        verify(file, key=one.key, node="n1")


def test_one_forged_among_many(tmp_path: Path) -> None:
    """All of a file must be genuine."""
    one = certificate(job())
    both: Any = {"erasures": [{"signed": one.model_dump()}, {"signed": edited(one).model_dump()}]}
    with pytest.raises(CertificateForged):
        verify(kept(tmp_path, json.dumps(both)), key=one.key)


@pytest.mark.parametrize(
    "printed",
    ["", "yes", "{}", "[]", '{"erasures": []}', '{"signed": {"signed": 1}}', '{"certificate": "", "signature": ""}',
     '{"certificate": "{}", "signature": "AA", "key": "AA"}', '{"certificate": "{}", "signature": "?", "key": "?"}'],
)  # fmt: skip
def test_what_is_none_is_none(printed: str, tmp_path: Path) -> None:
    """Whatever is in the file, it ends in an error of ours, and is no proof."""
    with pytest.raises(AgentError) as found:
        verify(kept(tmp_path, printed))

    assert found.value.exit_status == 2
