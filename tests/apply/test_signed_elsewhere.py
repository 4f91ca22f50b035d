# SPDX-License-Identifier: Apache-2.0
"""Signatures that OpenSSH or minisign made: believed where the key is trusted and they are of this very manifest, and
made for images; put into an image that is packed already.
"""

from __future__ import annotations

import hashlib
import subprocess
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from agent.cli import app
from agent.errors import AgentError, ConfigError, SignatureMissing
from agent.host.fake import Page
from agent.model.chunked import MANIFEST_MAGIC, SIGNATURE_MAGIC, frame, unframe
from agent.model.ed25519 import public_key
from agent.model.image import ImagePolicy
from agent.model.image_signature import LARGEST_BYTES, NAMESPACE, field, is_form, is_signed_by, raw_key
from tests.apply.chunks import packing, reference
from tests.apply.disks import MIB, URL, disk_of, gpt_image, machine
from tests.apply.writing import must_hold, write

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
OURS, THEIRS = public_key(KEY), public_key(OTHER)
IMAGE = gpt_image()
PAYLOAD = b"bms-img\0 any manifest"


def ssh_signature(
    payload: bytes,
    key: Ed25519PrivateKey = KEY,
    namespace: str = NAMESPACE,
    hash_name: str = "sha512",
    shown: Ed25519PrivateKey | None = None,
) -> bytes:
    """As OpenSSH makes it; `shown` is the key that it says to be of."""
    kind, names = b"ssh-ed25519", (namespace.encode(), b"", hash_name.encode())
    digest = hashlib.new(hash_name, payload).digest()
    made = key.sign(b"SSHSIG" + b"".join(map(field, (*names, digest))))
    public = field(kind) + field((shown or key).public_key().public_bytes_raw())
    blob = b"SSHSIG" + (1).to_bytes(4, "big") + b"".join(map(field, (public, *names, field(kind) + field(made))))
    return b"-----BEGIN SSH SIGNATURE-----\n" + b64encode(blob) + b"\n-----END SSH SIGNATURE-----\n"


def minisignature(payload: bytes, key: Ed25519PrivateKey = KEY, *, hashed: bool = True, comment: str = "t:1") -> bytes:
    """As minisign makes it."""
    made = key.sign(hashlib.blake2b(payload).digest() if hashed else payload)
    both = key.sign(made + comment.encode())
    first = (b"ED" if hashed else b"Ed") + bytes(8) + made
    lines = (b"untrusted comment: x", b64encode(first), f"trusted comment: {comment}".encode(), b64encode(both))
    return b"\n".join(lines) + b"\n"


GOOD = {
    "ssh": ssh_signature(PAYLOAD),
    "ssh-sha256": ssh_signature(PAYLOAD, hash_name="sha256"),
    "minisign": minisignature(PAYLOAD),
    "minisign-legacy": minisignature(PAYLOAD, hashed=False),
    "raw": KEY.sign(PAYLOAD),
}
MINISIGN_KEY = "RWRUfTNRkkgk37WQw2JfrogZD8iqnUT7AynrY7oSo312B3Ot5VTr+15x"
BY_MINISIGN = {
    "hashed": (
        "RURUfTNRkkgk3wLOFy/OV91tspGgwK89Imxf9wp7BdAJXSpYRwwKNbJ5K96HwzhcumHhXSWTea4GHtqmHmiCnd97T7qyCsLksAI=",
        "fjs2iK0K0KRKGkna33pl2TdMaKxggyfXGhWc2s2m/buW8Uty9dZNJCouip2MmhAmilt36ZA6FDFAQMS+LtTKBw==",
    ),
    "legacy": (
        "RWRUfTNRkkgk30YF7Fqc9EnrFp2zhGecGkPFn95xhyIb45GIMPpDrnpiwTfJJfNBReadd8mERdhJt7r5bOkt6z533H+uDEqcpQE=",
        "LV1nNeJ/f99NYsQgNY0BQHXoYxvnWSqDq0NrT+Jr65swYJcdzO40Tfw81aR5bGUImo/G60zkvxQuL6brKIiFAQ==",
    ),
}
"""Of `PAYLOAD`, by minisign 0.11: `-S -m m -t "timestamp:1 file:m"`, and the same with `-l`."""
SSH_ARMOR = (b"-----BEGIN SSH SIGNATURE-----\n", b"\n-----END SSH SIGNATURE-----\n")


@pytest.mark.parametrize("form", sorted(GOOD))
def test_each_form(form: str) -> None:
    """It is of its key alone, and of that manifest alone; a bit less of it, and it is nobody's."""
    assert is_form(GOOD[form]) and is_signed_by(PAYLOAD, GOOD[form], OURS)
    assert not is_signed_by(PAYLOAD, GOOD[form], THEIRS)
    assert not is_signed_by(PAYLOAD + b"\0", GOOD[form], OURS)
    assert not is_signed_by(PAYLOAD, GOOD[form][:-20], OURS)


@pytest.mark.parametrize("form", sorted(BY_MINISIGN))
def test_what_minisign_itself_made(form: str) -> None:
    """It is good by minisign's own form of the key, for that file."""
    made, both = BY_MINISIGN[form]
    lines = ("untrusted comment: signature from minisign secret key", made, "trusted comment: timestamp:1 file:m", both)
    signature = "".join(f"{line}\n" for line in lines).encode()

    assert is_signed_by(PAYLOAD, signature, raw_key(MINISIGN_KEY))
    assert not is_signed_by(PAYLOAD + b"x", signature, raw_key(MINISIGN_KEY))


WRONG = {
    "of files": ssh_signature(PAYLOAD, namespace="file"),
    "of git": ssh_signature(PAYLOAD, namespace="git"),
    "of no namespace": ssh_signature(PAYLOAD, namespace=""),
    "of a longer one": ssh_signature(PAYLOAD, namespace=NAMESPACE + "s"),
    "md5": ssh_signature(PAYLOAD, hash_name="md5"),
    "another's, under our key": ssh_signature(PAYLOAD, OTHER, shown=KEY),
    "ours, under another key": ssh_signature(PAYLOAD, shown=OTHER),
    "another's": ssh_signature(PAYLOAD, OTHER),
    "another's minisign": minisignature(PAYLOAD, OTHER),
    "hashed for legacy": minisignature(PAYLOAD).replace(b64encode(b"ED\0"), b64encode(b"Ed\0")),
    "legacy for hashed": minisignature(PAYLOAD, hashed=False).replace(b64encode(b"Ed\0"), b64encode(b"ED\0")),
    "another comment": minisignature(PAYLOAD).replace(b"t:1", b"t:2"),
    "two of them": minisignature(PAYLOAD) * 2,
    "no comment": b"\n".join(minisignature(PAYLOAD).split(b"\n")[:2]),
    "an empty one": b"",
    "sixty-four zeroes": bytes(64),
}


@pytest.mark.parametrize("form", sorted(WRONG))
def test_what_is_no_signature_of_ours(form: str) -> None:
    """Made for something else, by another key, or put together of several."""
    assert not is_signed_by(PAYLOAD, WRONG[form], OURS)


@given(st.sampled_from(sorted(GOOD)), st.integers(0, 1 << 16), st.integers(0, 7), st.binary(max_size=200))
def test_no_signature_but_ours_is_good(form: str, at: int, bit: int, tail: bytes) -> None:
    """Whatever is changed or added, it ends in yes or no; and a changed signature is none, comments apart."""
    changed = bytearray(GOOD[form])
    changed[at % len(changed)] ^= 1 << bit
    is_signed_by(PAYLOAD, bytes(changed), OURS)
    is_signed_by(PAYLOAD, tail, OURS)
    is_signed_by(PAYLOAD, SSH_ARMOR[0] + b64encode(tail) + SSH_ARMOR[1], OURS)
    assert not is_signed_by(PAYLOAD + tail + b"x", bytes(changed), OURS)


def test_keys_of_all_three() -> None:
    """A policy takes a key as OpenSSH or minisign has it, and knows it as its raw form; what is none is refused."""
    line = KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    mini = b64encode(b"Ed" + bytes(8) + b64decode(OURS)).decode()
    for text in (OURS, line, line + " me@example", line.split()[1], mini):
        assert raw_key(text) == OURS
        assert ImagePolicy(trusted_keys=(text,)).trusted_keys == (OURS,)
    for text in ("", "ssh-ed25519", "ssh-rsa AAAA", line.split()[1][:-8], "!" * 44, b64encode(bytes(33)).decode()):
        with pytest.raises(ConfigError):
            raw_key(text)
        with pytest.raises(ValueError):
            ImagePolicy(trusted_keys=(text,))


def test_the_largest_there_is() -> None:
    """A frame that is no signature, or larger than any, is none."""
    head = frame(MANIFEST_MAGIC, PAYLOAD)
    for made in GOOD.values():
        assert unframe(memoryview(head + frame(SIGNATURE_MAGIC, made))) == (PAYLOAD, made)
    assert not is_form(GOOD["minisign"] + b"x" * LARGEST_BYTES) and not is_form(b"-----BEGIN PGP SIGNATURE-----")


def ssh_keygen(*words: str, stdin: bytes = b"") -> bytes:
    """OpenSSH itself."""
    return subprocess.run(["ssh-keygen", *words], input=stdin, capture_output=True, check=True, timeout=60).stdout


def ours(*words: str) -> str:
    """What `bms-agent image` says."""
    result = CliRunner().invoke(app, ["image", *words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.commands
@pytest.mark.parametrize("is_store", [False, True])
def test_by_openssh_itself(tmp_path: Path, *, is_store: bool) -> None:
    """An image is packed, its manifest is signed by ssh-keygen, and the signature put into it: it is written where that
    key is trusted, nowhere else; and the same with a key of OpenSSH's at once."""
    key, packed, manifest = tmp_path / "key", tmp_path / "image.bmi", tmp_path / "manifest"
    ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", str(key))
    public = (tmp_path / "key.pub").read_text()
    (tmp_path / "disk").write_bytes(IMAGE)
    where = ("image", "--store", str(tmp_path)) if is_store else (str(packed),)
    ours("pack", str(tmp_path / "disk"), *where, "--format", "raw", "--chunk", "256K")
    path = tmp_path / "image.manifest" if is_store else packed
    before = path.read_bytes()
    ours("sign", str(path), "--manifest", str(manifest))
    signature = ssh_keygen("-Y", "sign", "-n", NAMESPACE, "-f", str(key), stdin=manifest.read_bytes())
    (tmp_path / "made").write_bytes(signature)
    for words in (("--signature", str(tmp_path / "made"), "--by", public), ("--key", str(key))):
        ours("sign", str(path), *words)
        assert path.read_bytes()[: len(before) // 2] == before[: len(before) // 2]
        assert f"by {raw_key(public)}" in ours("inspect", str(path), "--key", public)
        if not is_store:
            must_be_written(packed.read_bytes(), hashlib.sha256(manifest.read_bytes()).hexdigest(), raw_key(public))


def must_be_written(file: bytes, digest: str, key: str) -> None:
    """Where the key is trusted; where another is, not a byte."""
    made = machine(16 * MIB)
    made.web[URL] = Page(file)
    write(made, reference(digest), trusted_keys=(key,))
    must_hold(made, IMAGE)
    made = machine(16 * MIB)
    made.web[URL] = Page(file)
    with pytest.raises(SignatureMissing):
        write(made, reference(digest), trusted_keys=(THEIRS,))
    assert disk_of(made).content.blank


def test_a_signature_of_another_image_is_not_put_in(tmp_path: Path) -> None:
    """Where it is said who made it; the image stays as it was. Nor is what is no signature."""
    _, file = packing(IMAGE)
    path, made = tmp_path / "image.bmi", tmp_path / "made"
    path.write_bytes(file)
    for content, words in ((minisignature(b"another"), ("--by", OURS)), (b"no signature", ())):
        made.write_bytes(content)
        result = CliRunner().invoke(app, ["image", "sign", str(path), "--signature", str(made), *words])
        assert isinstance(result.exception, AgentError), result.output
        assert path.read_bytes() == file
    pem = tmp_path / "pem"
    pem.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert isinstance(CliRunner().invoke(app, ["image", "sign", str(path)]).exception, AgentError)
    ours("sign", str(path), "--key", str(pem))
    assert path.read_bytes() != file and OURS in ours("inspect", str(path), "--key", OURS)
