# SPDX-License-Identifier: Apache-2.0
"""Images written by another process than root's, which is somebody else's by now, and says what it likes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from agent.apply.writer.relay import relayed
from agent.errors import (
    AgentError,
    DigestMismatch,
    NotAsObserved,
    SignatureMissing,
    WriterDistrusted,
    WriterFailed,
)
from agent.host.fake import FakeHost, Machine
from agent.model.chunked import place_of_manifest, unframe
from agent.model.image import ImageFormat, ImageRef
from agent.model.writing import Begin, Fetched, FromWriter, Meant, Step
from tests.apply.deploying import IMAGE
from tests.apply.disks import MIB, URL, disk_of, gpt_image, machine, serve
from tests.apply.lending import Liar, honest, listening, tell, write, written
from tests.apply.writing import must_be_unverified, must_hold, step_of

DIGEST = hashlib.sha256(IMAGE).hexdigest()
OTHER = b"\xee" * 446 + IMAGE[446:MIB]
"""The head with another boot code."""
SILENT_S = 0.5


def test_signatures_are_root_s_to_judge() -> None:
    """A process that finds every signature good has told root a manifest that nobody signed."""
    made = machine(12 * MIB)
    image = serve(made, IMAGE, ImageFormat.CHUNKED)
    disk_of(made).write(0, b"precious")

    def lies(line: Any) -> None:
        liar = Liar(line, made)
        assert liar.ask(Meant(), manifest_of(made))[0] == "failed"
        liar.ask(Begin(), IMAGE[:MIB])

    with pytest.raises(WriterDistrusted, match="nobody told"):
        write(made, image, lies, trusted_keys=("A" * 43 + "=",))
    with pytest.raises(SignatureMissing):
        write(made, image, honest(made), trusted_keys=("A" * 43 + "=",))
    assert disk_of(made).read(0, 8) == b"precious"


def manifest_of(made: Machine) -> bytes:
    """Of the chunked image on the web."""
    file = memoryview(made.web[URL].body)
    place = place_of_manifest(file, len(file))
    return unframe(file[place.offset : place.offset + place.length])[0]


Lie = Callable[[Liar, Machine], None]


def begun(liar: Liar, head: bytes = IMAGE[:MIB]) -> int | None:
    """The disk, for that head."""
    return liar.ask(Begin(), head)[1]


def all_of_it(liar: Liar, head: bytes = IMAGE[:MIB], *pieces: tuple[int, bytes]) -> None:
    """The image, and what else."""
    liar.write(begun(liar, head), (MIB, IMAGE[MIB:]), *pieces)


def beyond(liar: Liar, _: Machine) -> None:
    """More than there is."""
    liar.say(Step(done_bytes=2, total_bytes=1))


def to_and_fro(liar: Liar, _: Machine) -> None:
    """Without end."""
    for number in range(1000):
        liar.say(Step(done_bytes=1 - number % 2))


def another_digest(liar: Liar, _: Machine) -> None:
    """Of another image."""
    all_of_it(liar)
    liar.say(written(len(IMAGE), "0" * 64))


def another_size(liar: Liar, _: Machine) -> None:
    """Than was ordered."""
    all_of_it(liar)
    liar.say(written(len(IMAGE) + 512, DIGEST))


def not_begun(liar: Liar, _: Machine) -> None:
    """It never had the disk."""
    liar.say(written(len(IMAGE), DIGEST))


def a_file(liar: Liar, _: Machine) -> None:
    """It was to write an image."""
    liar.line.send(FromWriter(said=Fetched()).model_dump_json().encode(), IMAGE[:512], 1)


def junk(liar: Liar, _: Machine) -> None:
    """No words."""
    liar.line.send(b'{"said": {"kind": "steal"}}', b"", 1)


def no_table(liar: Liar, _: Machine) -> None:
    """What begins so is no disk: root does not lend it, and does not take it for begun."""
    assert liar.ask(Begin(), gpt_image(sector_bytes=4096)[:MIB])[0] == "failed"
    not_begun(liar, _)


def short_head(liar: Liar, _: Machine) -> None:
    """Less than is held back, or more."""
    assert liar.ask(Begin(), IMAGE[: MIB - 512])[0] == "failed"
    assert liar.ask(Begin(), IMAGE[: 2 * MIB])[0] == "failed"
    not_begun(liar, _)


def a_manifest(liar: Liar, made: Machine) -> None:
    """Of an image that has none."""
    liar.ask(Meant(), b"x")


LIES: dict[str, tuple[Lie, str]] = {
    "progress beyond the end": (beyond, "at 2 of 1 bytes"),
    "progress to and fro": (to_and_fro, "at 0 of None bytes"),
    "another digest": (another_digest, "not the image's"),
    "another size": (another_size, "cannot have"),
    "not begun": (not_begun, "not begun"),
    "junk": (junk, "makes no sense"),
    "a file": (a_file, "nobody asked for"),
    "no disk": (no_table, "not begun"),
    "a head of another size": (short_head, "not begun"),
    "a manifest of no chunked image": (a_manifest, "a manifest of an image that is raw"),
}


@pytest.mark.parametrize(("lie", "told"), list(LIES.values()), ids=list(LIES))
def test_lies(lie: Lie, told: str) -> None:
    """What cannot be so is an error of its own, once; the disk does not boot, and nothing is handed on to be sealed."""
    made, asked = machine(12 * MIB), list[Liar]()

    def lies(line: Any) -> None:
        asked.append(Liar(line, made))
        lie(asked[-1], made)

    with pytest.raises(WriterDistrusted, match=told) as failed:
        write(made, serve(made, IMAGE), lies)
    assert len(asked) == 1 and failed.value.code == "HOST.WRITER_DISTRUSTED" and not failed.value.retryable
    must_be_unverified(made)


def test_who_keeps_the_disk() -> None:
    """Nothing is sealed while somebody else can write to the disk."""
    made, over = machine(12 * MIB), Event()

    def lies(line: Any) -> None:
        liar = Liar(line, made)
        descriptor = begun(liar)
        with liar.host.block.borrow(descriptor or -1, "/dev/sda") as disk:
            disk.write(MIB, IMAGE[MIB:])
            liar.say(written(len(IMAGE), DIGEST))
            over.wait(30)

    with listening(lies) as socket:
        with pytest.raises(WriterDistrusted, match="has not let go"):
            relayed(FakeHost.of(made), step_of(made, serve(made, IMAGE)), socket, tell)
        over.set()
    must_be_unverified(made)


def test_what_it_writes_where_it_was_not_to() -> None:
    """A head of its own, written by itself, is gone once it fails."""
    made = machine(12 * MIB)

    def lies(line: Any) -> None:
        all_of_it(Liar(line, made), IMAGE[:MIB], (0, OTHER))

    with pytest.raises(WriterFailed):
        write(made, serve(made, IMAGE), lies)
    must_be_unverified(made)


@pytest.mark.parametrize(
    ("image_format", "verify", "head", "wrong", "error"),
    [
        (ImageFormat.CHUNKED, False, OTHER, (), DigestMismatch),
        (ImageFormat.CHUNKED, True, IMAGE[:MIB], (4 * MIB,), NotAsObserved),
        (ImageFormat.RAW, True, OTHER, (), NotAsObserved),
        (ImageFormat.RAW, True, IMAGE[:MIB], (4 * MIB,), NotAsObserved),
    ],
)
def test_another_image(
    image_format: ImageFormat, verify: bool, head: bytes, wrong: tuple[int, ...], error: type[AgentError]
) -> None:
    """Root finds out by itself: a chunked image's beginning in any case, all of it, and of a raw image, by reading the
    disk back."""
    made = machine(12 * MIB)
    image = serve(made, IMAGE, image_format)

    def lies(line: Any) -> None:
        liar = Liar(line, made)
        if image_format is ImageFormat.CHUNKED:
            assert liar.ask(Meant(), manifest_of(made))[0] == "lent"
        all_of_it(liar, head, *((at, b"\xee" * 512) for at in wrong))
        liar.say(written(len(IMAGE), image.sha256))

    with pytest.raises(error):
        write(made, image, lies, verify=verify)
    must_be_unverified(made)


def test_who_tells_the_truth_by_hand() -> None:
    """The same with the right bytes is taken: the test before this fails for what is wrong, and for nothing else."""
    for image_format in (ImageFormat.CHUNKED, ImageFormat.RAW):
        made = machine(12 * MIB)
        image = serve(made, IMAGE, image_format)

        def says(line: Any, made: Machine = made, image: ImageRef = image) -> None:
            liar = Liar(line, made)
            if image.format is ImageFormat.CHUNKED:
                liar.ask(Meant(), manifest_of(made))
            all_of_it(liar)
            liar.say(written(len(IMAGE), image.sha256))

        assert write(made, image, says, verify=True)["verified_bytes"] == len(IMAGE) - MIB
        must_hold(made, IMAGE)
