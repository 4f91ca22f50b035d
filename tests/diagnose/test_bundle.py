# SPDX-License-Identifier: Apache-2.0
"""The bundle: what is in it, that its manifest is true, and that no secret is, wherever it was planted."""

from __future__ import annotations

import hashlib
import json
import tarfile
from base64 import b64encode
from io import BytesIO

import pytest
from pydantic import SecretStr

from agent.diagnose.bundle import packed
from agent.host.fake import FakeHost, Machine, saying
from agent.inventory.logs import kept_secrets
from agent.job.ledger import Ledger
from agent.model.bundle import FILE, Manifest
from agent.model.disk import RootDeviceHints
from agent.model.image import Access, ImageFormat, ImageRef
from agent.model.network import NetworkConfig
from agent.model.protocol import Desired, ServiceIdentity
from agent.model.request import DeployRequest
from tests.diagnose.test_diagnose import begun, ramdisk

MIB = 1024 * 1024
PLANTED = {
    "cmdline": "cmdline-TOKEN-1",
    "ipa": "ipa-agent-TOKEN-2",
    "toml": "settings-TOKEN-3",
    "credential": "node-CREDENTIAL-4",
    "nonce": "boot-NONCE-55",
    "image": "image-PASSWORD-6",
    "bearer": "image-BEARER-77",
    "journal": "journal-PASSWORD-8",
    "ironic": "ironic-TOKEN-99",
    "pem": "MIIEvPRIVATEKEYx",
    "hash": "$6$saltsalt$HASHOFAPASSWORD",
    "drive": "userdata-PASSWORD-12",
    "network": "network-SECRET-13",
    "url": "url-PASSWORD-14",
    "signed": "SIGNATUREOFAURL15",
    "process": "process-PASSWORD-16",
    "escaped": "escaped-TOKEN-17",
}


def planted() -> Machine:
    """A server with secrets everywhere that one has ever been found."""
    machine = ramdisk()
    machine.tree.drop("/usr/lib/systemd/system/bms-agent-ramdisk.service")
    begun(machine)
    host = FakeHost.of(machine)
    identity = ServiceIdentity(
        controller_url=f"http://user:{PLANTED['url']}@192.0.2.1:8480",
        node_id="n1",
        server_id="s1",
        credential=SecretStr(PLANTED["credential"]),
        nonce=SecretStr(PLANTED["nonce"]),
        network=NetworkConfig(),
    )
    files = {
        "/proc/cmdline": f"bms.token={PLANTED['cmdline']} ipa-agent-token={PLANTED['ipa']} rootpwd={PLANTED['hash']}",
        "/etc/bms-agent/agent.toml": f'token = "{PLANTED["toml"]}"\nlog_level = "debug"\n',
        "/var/lib/bms-agent/identity.json": identity.model_dump_json(),
        "/run/bms-agent/ironic/held.json": json.dumps({"identity": {"token": PLANTED["ironic"], "key_pem": pem()}}),
        "/run/bms-agent/ironic/order.json": json.dumps(
            {"params": {"configdrive": b64encode(PLANTED["drive"].encode()).decode(), "user_data": PLANTED["drive"]}}
        ),
        "/run/bms-agent/rescue": PLANTED["hash"],
        "/mnt/config/openstack/latest/network_data.json": json.dumps({"secret": PLANTED["network"]}),
        "/proc/77/stat": "77 (curl) S 1 7 7 0\n",
        "/proc/77/cmdline": f"curl\0--password={PLANTED['process']}\0",
        "/proc/self/mounts": f"//nas/x /mnt cifs rw,password={PLANTED['process']} 0 0\n",
    }
    for path, text in files.items():
        machine.tree.put(path, text.encode())
    ledger = Ledger(host.files, "/var/lib/bms-agent", "n1")
    access = Access(username="u", password=SecretStr(PLANTED["image"]))
    image = ImageRef(url="https://images.example/x", format=ImageFormat.RAW, sha256="0" * 64, access=access)
    request = DeployRequest(request_id="r9", node_id="n1", image=image, root_device=RootDeviceHints(serial="S1"))
    ledger.accept(Desired(generation=7, node_id="n1", request=request))
    machine.programs["journalctl"] = saying(log())
    machine.programs["dmesg"] = saying(f"[1.0] Command line: bms.token={PLANTED['cmdline']}\n")
    return machine


def pem() -> str:
    """A private key."""
    return f"-----BEGIN PRIVATE KEY-----\n{PLANTED['pem']}\n-----END PRIVATE KEY-----\n"


def log() -> str:
    """What careless programs write: behind names, and without."""
    return "\n".join(
        [
            f"Nov 22 app[1]: password={PLANTED['journal']} user=me",
            f"Nov 22 app[1]: Authorization: Bearer {PLANTED['bearer']}",
            f"Nov 22 app[1]: the credential {PLANTED['credential']} was refused, so was {PLANTED['nonce']}",
            f"Nov 22 app[1]: asked for {PLANTED['toml']} and {PLANTED['ironic']}, got <{PLANTED['image']}>",
            f"Nov 22 app[1]: GET https://user:{PLANTED['url']}@example/x?temp_url_sig={PLANTED['signed']}&a=1",
            f'Nov 22 app[1]: body {{"x": "{{\\"agent_token\\": \\"{PLANTED["escaped"]}\\"}}"}}',
            f"Nov 22 chpasswd: root:{PLANTED['hash']}",
            f"Nov 22 app[1]: {pem()}",
            f"user_data: {PLANTED['drive']}",
            f"Nov 22 app[1]: secret: {PLANTED['network']}, 'psk_passphrase': '{PLANTED['network']}'",
        ]
    )


def texts(archive: bytes) -> dict[str, str]:
    """What is in it."""
    with tarfile.open(fileobj=BytesIO(archive), mode="r:gz") as tar:
        return {member.name: (tar.extractfile(member) or BytesIO()).read().decode() for member in tar}


@pytest.fixture(scope="module")
def made() -> tuple[bytes, Manifest]:
    """One bundle of the planted machine."""
    return packed(FakeHost.of(planted()), 4 * MIB)


def test_what_is_in_it(made: tuple[bytes, Manifest]) -> None:
    """Findings for people and programs, the network, jobs, what is desired and what holds, and all the logs."""
    found = texts(made[0])
    desired = json.loads(found["desired.json"])

    assert json.loads(found["findings.json"])["findings"] and "what " in found["findings.txt"]
    assert json.loads(found["jobs.json"])["jobs"] == []  # of the service: the ramdisk's journal is another one's
    assert (desired["desired_generation"], desired["desired_request"]) == (7, "image.deploy r9")
    assert "links" in json.loads(found["network.json"])
    assert {"journal", "dmesg", "inventory.json", "cmdline", "agent.toml", "state", FILE} <= set(found)
    assert found["agent.toml"] == 'token = ***\nlog_level = "debug"\n'


def test_the_manifest_is_true(made: tuple[bytes, Manifest]) -> None:
    """It names every file but itself, with its size and digest."""
    archive, manifest = made
    found = texts(archive)

    assert json.loads(found.pop(FILE)) == json.loads(manifest.model_dump_json())
    assert {one.name: one.sha256 for one in manifest.files} == {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items()
    }
    assert all(one.size_bytes == one.whole_bytes == len(found[one.name].encode()) for one in manifest.files)


@pytest.mark.parametrize("place", PLANTED)
def test_no_planted_secret_is_in_it(made: tuple[bytes, Manifest], place: str) -> None:
    """In no file of it, not even a piece that could be one."""
    found = texts(made[0])
    secret = PLANTED[place]

    assert [name for name, text in found.items() if secret in text or b64encode(secret.encode()).decode() in text] == []


def test_the_secrets_are_really_there() -> None:
    """The machine that was bundled says each of them somewhere: the test above could fail."""
    machine = planted()
    said = b"".join(content for content in machine.tree.entries.values() if isinstance(content, bytes)).decode(
        errors="replace"
    )

    assert [place for place, secret in PLANTED.items() if secret not in said + log()] == []


def test_what_is_kept_is_looked_for_everywhere() -> None:
    """A secret of the agent's own is found in a text that gives no hint of what it is."""
    known = kept_secrets(FakeHost.of(planted()).files)

    assert {PLANTED[name] for name in ("cmdline", "ipa", "toml", "credential", "nonce", "image", "ironic")} <= known


def test_its_size_is_bounded() -> None:
    """Of what is too large the oldest lines go, and the manifest says how much there was."""
    machine = planted()
    machine.programs["journalctl"] = saying("".join(f"{number * 7919 % 104729} line\n" for number in range(200_000)))
    archive, manifest = packed(FakeHost.of(machine), 256 * 1024)
    (journal,) = [one for one in manifest.files if one.name == "journal"]

    assert len(archive) <= 256 * 1024
    assert 0 < journal.size_bytes < journal.whole_bytes
    assert texts(archive)["journal"].endswith(f"{199_999 * 7919 % 104729} line\n")
