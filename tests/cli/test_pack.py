# SPDX-License-Identifier: Apache-2.0
"""Packing, unpacking, looking and verifying by hand: what an operator types, what is there then, and what is said."""

from __future__ import annotations

import gzip
import hashlib
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import loads
from pathlib import Path

import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from agent.cli import app
from agent.errors import AgentError, DigestMismatch, ImageRefused, InputError, SignatureMissing
from agent.model.chunked import sizes_of
from tests.apply.disks import MIB, gpt_image
from tests.hostile import serving

DISK = gpt_image()
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "zst": zstandard.compress}


def run(*argv: object) -> str:
    """`bms-agent image …`; what it prints. Raises what it raises."""
    done = CliRunner().invoke(app, ["image", *map(str, argv)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def result(*argv: object) -> dict[str, object]:
    """The same with --json."""
    told = loads(run(*argv, "--json"))
    assert isinstance(told, dict)
    return told


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw disk."""
    path = tmp_path / "disk.raw"
    path.write_bytes(DISK)
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key, as openssl makes one."""
    path = tmp_path / "key.pem"
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@contextmanager
def standard_input(path: Path) -> Iterator[None]:
    """The file as this process's standard input."""
    kept = os.dup(0)
    try:
        with path.open("rb") as file:
            os.dup2(file.fileno(), 0)
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def names(folder: Path) -> set[str]:
    """All that is in it, hidden or not."""
    return {path.name for path in folder.iterdir()}


def test_packed_and_unpacked(raw: Path, tmp_path: Path) -> None:
    """A disk comes back bit for bit; its packed form is an ordinary .zst; nothing else is left in the folder."""
    packed, back = tmp_path / "disk.bmi", tmp_path / "back.raw"
    told = result("pack", raw, packed)
    run("unpack", packed, back)

    assert back.read_bytes() == DISK == zstandard.ZstdDecompressor().stream_reader(
        packed.read_bytes(), read_across_frames=True
    ).read()  # fmt: skip
    assert told["file_bytes"] == packed.stat().st_size and told["image_bytes"] == len(DISK)
    assert names(tmp_path) == {"disk.raw", "disk.bmi", "back.raw"}


@pytest.mark.parametrize("ending", PACKERS)
def test_any_image_is_packed(raw: Path, tmp_path: Path, ending: str) -> None:
    """What is packed otherwise is known by its content, and becomes the same image, whatever its name is."""
    other = tmp_path / "other.img"
    other.write_bytes(PACKERS[ending](DISK))

    assert result("pack", other, tmp_path / "a")["sha256"] == result("pack", raw, tmp_path / "b")["sha256"]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert names(tmp_path) == {"disk.raw", "other.img", "a", "b"}


def test_standard_input_is_packed(raw: Path, tmp_path: Path) -> None:
    """What comes through a pipe is kept until it is packed, and no longer."""
    packed = tmp_path / "disk.gz"
    packed.write_bytes(gzip.compress(DISK))
    with standard_input(packed):
        run("pack", "-", tmp_path / "a")
    run("pack", raw, tmp_path / "b")

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert names(tmp_path) == {"disk.raw", "disk.gz", "a", "b"}


def test_store(raw: Path, tmp_path: Path) -> None:
    """A store has a file for each chunk, by its digest, and unpacks like a file; a second image shares chunks."""
    store = tmp_path / "store"
    told = result("pack", raw, "one", "--store", store)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*.zst")}
    run("pack", raw, "two", "--store", store)
    run("unpack", store / "two.manifest", tmp_path / "back")

    assert names(store) == {"one.manifest", "two.manifest", "chunks"}
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.stem for path in before)
    assert len(before) == told["chunks"] and before == {p: p.stat().st_mtime_ns for p in store.rglob("*.zst")}
    assert (tmp_path / "back").read_bytes() == DISK


def test_signed(raw: Path, key: Path, tmp_path: Path) -> None:
    """The public key is printed as `bms.image_keys` takes it; inspect and verify know it, and no other."""
    packed, other = tmp_path / "a", b64encode(bytes(31) + b"\1").decode()
    public = str(result("pack", raw, packed, "--sign", key)["public_key"])

    assert result("inspect", packed, "--key", other, "--key", public)["signature"] == f"by {public}"
    assert "none of the 1" in str(result("inspect", packed, "--key", other)["signature"])
    run("verify", packed, "--key", public)
    with pytest.raises(SignatureMissing):
        run("verify", packed, "--key", other)


def test_what_is_said_of_an_image(raw: Path, tmp_path: Path) -> None:
    """What an operator says stands in the image; what is not said is found out; packing again keeps both."""
    packed, again = tmp_path / "a", tmp_path / "b"
    run("pack", raw, packed, "--os", "Debian 13", "--min-disk-gb", 20, "--chunk", "1M")
    run("pack", packed, again, "--firmware", "uefi", "--level", 1)
    first, second = result("inspect", packed), result("inspect", again)

    assert (first["os"], first["min_disk_gb"], first["sector_bytes"], first["firmware"]) == (
        "Debian 13", 20, 512, ["bios"])  # fmt: skip
    assert (second["os"], second["min_disk_gb"], second["firmware"]) == ("Debian 13", 20, ["uefi"])
    assert (first["chunk_bytes"], second["chunk_bytes"]) == (MIB, 2 * MIB)


def test_inspect_fetches_little(raw: Path, tmp_path: Path) -> None:
    """A look over HTTP tells digest, sizes and chunks, and fetches only both ends."""
    packed = tmp_path / "a"
    told = result("pack", raw, packed, "--chunk", "512K")
    with serving(packed.read_bytes()) as server:
        seen = result("inspect", server.url)
        asked = list(server.asked)

    assert seen["sha256"] == told["sha256"] and seen["chunks"] == told["chunks"] and seen["format"] == "chunked"
    assert asked and all(asked)


@pytest.mark.parametrize(
    ("begin", "kind"), [(b"KDMV", "VMDK"), (b"vhdxfile", "VHDX"), (b"conectix", "VHD"), (b"QED\0", "QED")]
)
def test_foreign_images_are_named(tmp_path: Path, begin: bytes, kind: str) -> None:
    """What is not written on a host is named by `inspect`, and refused by all else with the advice to import it."""
    image = tmp_path / "disk.img"
    image.write_bytes(begin.ljust(MIB, b"\1"))

    seen = result("inspect", image)
    assert seen["kind"] == kind and "import" in str(seen["to_do"])
    for argv in (["pack", image, tmp_path / "a"], ["unpack", image, tmp_path / "a"]):
        with pytest.raises(ImageRefused) as caught:
            run(*argv)
        assert kind in str(caught.value) and "import" in str(caught.value.hint)
    assert names(tmp_path) == {"disk.img"}


def test_plan_writes_nothing(raw: Path, key: Path, tmp_path: Path) -> None:
    """`--plan` says each step, with the key that would sign, and leaves all as it was."""
    other = tmp_path / "disk.gz"
    other.write_bytes(gzip.compress(DISK))
    before = names(tmp_path)
    steps = result("pack", other, "name", "--store", tmp_path / "store", "--sign", key, "--plan")["steps"]

    assert isinstance(steps, list)
    assert [step.split()[0] for step in steps] == ["read", "unpack", "pack", "sign"]
    assert run("unpack", raw, tmp_path / "x", "--plan").splitlines()[-1].startswith("2. unpack")
    assert names(tmp_path) == before


def test_a_signature_is_planned_first(raw: Path, key: Path, tmp_path: Path) -> None:
    """All is checked, and nothing is written; without --plan the image is signed."""
    image, manifest = tmp_path / "a.bmi", tmp_path / "manifest"
    run("pack", raw, image)
    before = image.read_bytes()
    assert "nothing was written" in run("sign", image, "--key", key, "--plan")
    assert "nothing was written" in run("sign", image, "--manifest", manifest, "--plan")

    assert image.read_bytes() == before and not manifest.exists()
    run("sign", image, "--key", key)
    assert image.read_bytes() != before


def test_destination_is_safe(raw: Path, tmp_path: Path) -> None:
    """What is there is replaced only with --force, and what is no file not even then."""
    there = tmp_path / "there"
    there.write_text("mine")
    for command in ("pack", "unpack"):
        with pytest.raises(InputError, match="there already"):
            run(command, raw, there)
        for place in (tmp_path, "/dev/null", "/dev/sdzz", tmp_path / "nowhere" / "x"):
            with pytest.raises(InputError):
                run(command, raw, place, "--force")
    assert there.read_text() == "mine"
    run("unpack", raw, there, "--force")
    assert there.read_bytes() == DISK


def test_failure_leaves_nothing(raw: Path, tmp_path: Path) -> None:
    """An image that is damaged leaves no file, no folder, and what was there before as it was."""
    packed, damaged, there = tmp_path / "a", tmp_path / "b", tmp_path / "there"
    run("pack", raw, packed)
    content = bytearray(packed.read_bytes())
    content[MIB] ^= 1
    damaged.write_bytes(content)
    there.write_text("mine")
    before = names(tmp_path)
    for argv in (["unpack", damaged, there, "--force"], ["pack", damaged, "n", "--store", tmp_path / "store"]):
        with pytest.raises(DigestMismatch):
            run(*argv)

    assert names(tmp_path) == before and there.read_text() == "mine"


def test_a_server_is_not_believed(raw: Path, tmp_path: Path) -> None:
    """An image of a server needs a digest from elsewhere; one of this machine is what it is."""
    with serving(DISK) as server:
        for argv in (["unpack", server.url, tmp_path / "x"], ["pack", server.url, tmp_path / "x"]):
            with pytest.raises(InputError, match="which image"):
                run(*argv)
        with pytest.raises(DigestMismatch):
            run("unpack", server.url, tmp_path / "x", "--sha256", "0" * 64)
        run("unpack", server.url, tmp_path / "x", "--sha256", hashlib.sha256(DISK).hexdigest())
    assert (tmp_path / "x").read_bytes() == DISK


def test_verify(raw: Path, tmp_path: Path) -> None:
    """Any image: with the right digest, with another, with none; a chunked one also where a bit of it is wrong."""
    packed = tmp_path / "a"
    digest = str(result("pack", raw, packed)["sha256"])

    assert result("verify", packed)["sha256"] == digest == result("verify", packed, "--sha256", digest)["sha256"]
    assert result("verify", raw, "--sha256", hashlib.sha256(DISK).hexdigest())["file_bytes"] == len(DISK)
    assert "no digest" in str(result("verify", raw)["verdict"])
    for path in (raw, packed):
        with pytest.raises(DigestMismatch):
            run("verify", path, "--sha256", "0" * 64)
    content = bytearray(packed.read_bytes())
    content[MIB] ^= 1
    packed.write_bytes(content)
    with pytest.raises(DigestMismatch, match="chunk"):
        run("verify", packed)


def test_a_wrong_word_is_refused(raw: Path, tmp_path: Path) -> None:
    """What cannot be is refused before anything is written, each with its own words."""
    for wrong, told in (
        (["--chunk", "100K"], "cannot be"),
        (["--chunk", "much"], "no size"),
        (["--firmware", "coreboot"], "coreboot"),
        (["--sector-bytes", "7"], "7 bytes"),
        (["--sign", raw], "signing key"),
        (["--sign", tmp_path / "none"], "none"),
        (["--format", "qcow2"], "not qcow2"),
        (["--sha256", "abc"], "sha256"),
        (["--sha256", "0" * 64], "it should be"),
    ):
        with pytest.raises(AgentError, match=told):
            run("pack", raw, tmp_path / "x", *wrong)
    for source in (tmp_path / "none", tmp_path, "ftp://images.example/x", "http://"):
        with pytest.raises(AgentError):
            run("pack", source, tmp_path / "x")
    assert names(tmp_path) == {"disk.raw"}


def test_seek_table_is_readable(raw: Path, tmp_path: Path) -> None:
    """The file ends in a seek table that gives every frame's place, as readers of seekable zstd want it."""
    packed = tmp_path / "a"
    run("pack", raw, packed, "--chunk", "512K")
    content = packed.read_bytes()
    count = int.from_bytes(content[-9:-5], "little")
    sizes = list(sizes_of(content[-(8 + 8 * count + 9) :]))
    at, disk = 0, b""
    for length, unpacked in sizes:
        frame = content[at : at + length]
        disk += zstandard.decompress(frame, max_output_size=unpacked) if unpacked else b""
        at += length

    assert disk == DISK and at == len(content) - (8 + 8 * count + 9)
