# SPDX-License-Identifier: Apache-2.0
"""Images that mean harm, ordered as any other: each is refused, or does none, and nothing boots but what was meant."""

from __future__ import annotations

import bz2
import gzip
import lzma
import resource
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import zstandard

from agent.errors import ImageUnavailable, InputError, SignatureMissing
from agent.host.connections import LedPlain
from agent.host.doors import Host
from agent.host.fake import FakeHost, Machine, Page
from agent.host.fetch import RealFetch
from agent.model.destination import is_here, next_url
from agent.model.image import ImageFormat, ImagePolicy, ImageRef
from agent.model.job import JobState
from agent.model.protocol import Mode
from agent.operations import Operations
from tests import hostile
from tests.apply.deploying import DISK, IMAGE, deployed, full, holds_the_image
from tests.apply.disks import MIB, URL, boots, disk_of, machine, request
from tests.apply.hostile_qcow2 import HARMLESS, HOSTILE
from tests.apply.packed import digest_of
from tests.apply.test_chunked_sign import OURS
from tests.hostile import Server, serving

FASTEST_S = 20.0
"""Of processors: for what must not take long, on a machine that does much else."""


def of(file: bytes, image_format: ImageFormat, **more: object) -> tuple[Machine, ImageRef]:
    """A machine, and such an image as its owner describes it: with its digest, and no word of its size."""
    made = machine(DISK)
    full(made)
    made.web[URL] = Page(file)
    told = {"url": URL, "format": image_format, "sha256": digest_of(file, image_format)}
    return made, ImageRef.model_validate(told | more)


def ended(made: Machine, image: ImageRef) -> tuple[JobState, str]:
    """Of a deploy that may destroy what is there: its state, and its fault's code."""
    wanted = request(image, drive=None).model_copy(update={"overwrite": True})
    job, _ = deployed(FakeHost.of(made), wanted)
    return job.state, job.fault.code if job.fault else ""


@pytest.mark.parametrize("name", HOSTILE)
def test_qcow2(name: str) -> None:
    """Refused as a fault of the image's, before the disk is touched; only what is packed is looked into later, and then
    nothing boots.
    """
    made, image = of(HOSTILE[name](), ImageFormat.QCOW2)
    state, code = ended(made, image)

    assert state is JobState.FAILED and code.startswith("IMAGE."), code
    assert disk_of(made).durable.read(0, 8) == b"precious" or ("packed" in name and not boots(disk_of(made)))


@pytest.mark.parametrize("name", HARMLESS)
def test_qcow2_that_cannot_harm(name: str) -> None:
    """What is not needed of it is not looked at: it is written as what it is."""
    made, image = of(HARMLESS[name](), ImageFormat.QCOW2)

    assert ended(made, image) == (JobState.SUCCEEDED, "")
    assert holds_the_image(disk_of(made), None)


BLOCK = bytes(16 * MIB)
ONE = {
    ImageFormat.RAW_GZ: lambda: gzip.compress(BLOCK, 9),
    ImageFormat.RAW_XZ: lambda: lzma.compress(BLOCK, preset=0),
    ImageFormat.RAW_BZ2: lambda: bz2.compress(BLOCK, 9),
    ImageFormat.RAW_ZST: lambda: zstandard.ZstdCompressor(level=1).compress(BLOCK),
}


@pytest.mark.parametrize("size_bytes", [None, len(IMAGE)])
@pytest.mark.parametrize("image_format", ONE)
def test_bombs(image_format: ImageFormat, size_bytes: int | None) -> None:
    """Four GiB of nothing in a thousandth of that, or far less, said to be small or of no said size: memory and time
    end where the disk does, and nothing boots.
    """
    made, image = of(ONE[image_format]() * 256, image_format, size_bytes=size_bytes)
    before_kib, began_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    state, code = ended(made, image)

    assert state is JobState.FAILED and code in ("IMAGE.TOO_LARGE", "IMAGE.OVERRUN")
    assert not boots(disk_of(made)) and time.process_time() - began_s < FASTEST_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 256 * 1024


def test_window_of_two_gib() -> None:
    """A zstd frame may ask its reader for as much memory as it likes; it does not get it."""
    huge = b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + b"\x01\x00\x00" + b"x" * 1000
    made, image = of(huge, ImageFormat.RAW_ZST)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    state, code = ended(made, image)

    assert state is JobState.FAILED and code.startswith("IMAGE.") and not any(disk_of(made).durable.read(9, MIB))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 256 * 1024


HERE = ("file:///etc/shadow", "file://localhost/etc/shadow", "-")


@pytest.mark.parametrize("mode", ["ramdisk", "service", None])
@pytest.mark.parametrize("place", HERE)
@pytest.mark.parametrize("role", ["url", "mirrors", "checksums"])
def test_files_of_this_machine(role: str, place: str, mode: Mode | None) -> None:
    """Whoever orders from outside names none, neither as the image, nor as its mirror, nor for its digest: refused
    before anything is read. An operator at the keyboard may.
    """
    if role == "checksums" and place == "-":
        return  # the model knows no such thing
    made, image = of(IMAGE, ImageFormat.RAW)
    changes: dict[str, object] = {"url": place, "mirrors": (place,), "checksums": place}
    told = {role: changes[role], **({"sha256": None} if role == "checksums" else {})}
    wanted = request(image.model_copy(update=told), drive=None).model_copy(update={"overwrite": True})
    operations = Operations(host := FakeHost.of(made), mode, "/spool")
    if mode is None:
        assert operations.plan(wanted).steps
        return
    with pytest.raises(InputError, match=r"is a file of this machine|in service mode"):
        operations.plan(wanted)
    assert not [call for call in host.faults.calls if "shadow" in call or call.startswith("fetch")]


@pytest.fixture
def server() -> Iterator[Server]:
    """With an image."""
    with serving(IMAGE) as running:
        yield running


TARGETS = (
    "file:///etc/shadow",
    "ftp://127.0.0.1/image",
    "gopher://127.0.0.1/image",
    "http://169.254.169.254/latest/meta-data",
    "http://[::ffff:169.254.169.254]/",
    "http://0251.0376.0251.0376/",
    "http://[fe80::1%25lo]/",
    "http://user:password@169.254.169.254/",
    "//169.254.169.254/",
)


@pytest.mark.parametrize("target", TARGETS)
def test_redirects(server: Server, target: str) -> None:
    """A deploy whose image server sends it elsewhere than to a server ends there, with the disk as it was."""
    made, image = of(IMAGE, ImageFormat.RAW)
    server.script = [hostile.redirect(target)] * 50
    wanted = request(image.model_copy(update={"url": server.url}), drive=None).model_copy(update={"overwrite": True})
    real: Host = replace(FakeHost.of(made), fetch=RealFetch())
    assert isinstance(real, FakeHost)
    job, _ = deployed(real, wanted)

    assert job.fault is not None and job.fault.code == "IMAGE.UNAVAILABLE" and len(server.asked) == 1
    assert disk_of(made).durable.read(0, 8) == b"precious" and "password" not in job.fault.message


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1/", "http://127.9.9.9:8480/", "https://[::1]/", "http://localhost/", "http://a.localhost./",
     "http://0.0.0.0/", "http://0/", "http://2130706433/", "http://0x7f.1/", "http://[::ffff:127.0.0.1]/", "http://[::]/"],
)  # fmt: skip
def test_redirects_to_this_machine(target: str) -> None:
    """What listens on this machine for itself is reached by no redirect of another's; one's own go where they like."""
    with pytest.raises(ImageUnavailable, match="to this machine itself"):
        next_url("fetching", "http://images.example/disk", target)
    assert is_here(target) and next_url("fetching", "http://127.0.0.1:8480/disk", target) == target


def test_names_that_lead_to_this_machine(server: Server) -> None:
    """Whatever a name resolves to is looked at once it is connected to, and nothing is sent there."""
    port = int(server.url.split(":")[2].split("/")[0])
    with pytest.raises(ImageUnavailable, match="this machine itself, and a redirect led there"):
        LedPlain("localhost", port, timeout=5).connect()
    assert server.asked == []


REQUIRED = ImagePolicy(trusted_keys=(OURS,), require_signature=True)
NO_KEYS = ImagePolicy(require_signature=True)
TRUSTED = ImagePolicy(trusted_keys=(OURS,))


@pytest.mark.parametrize("mode", ["ramdisk", None])
@pytest.mark.parametrize("policy", [REQUIRED, NO_KEYS, TRUSTED])
@pytest.mark.parametrize("image_format", [one for one in ImageFormat if one is not ImageFormat.CHUNKED])
def test_what_cannot_be_signed(image_format: ImageFormat, policy: ImagePolicy, mode: Mode | None) -> None:
    """No road leads around a signature that is required: the plan is refused, whoever asks."""
    made, image = of(IMAGE, image_format)
    with pytest.raises(SignatureMissing):
        Operations(FakeHost.of(made), mode, "/spool", policy).plan(
            request(image, drive=None).model_copy(update={"overwrite": True})
        )
    assert disk_of(made).durable.read(0, 8) == b"precious"
