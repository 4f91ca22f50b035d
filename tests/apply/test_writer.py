# SPDX-License-Identifier: Apache-2.0
"""Images written by another process than root's: as in one, whatever becomes of that process, and whatever it says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from agent.apply.image import write_image
from agent.apply.writer.relay import relayed, socket_of
from agent.errors import (
    AgentError,
    DigestMismatch,
    NotAsObserved,
    Recalled,
    SignatureMissing,
    WriterDistrusted,
    WriterFailed,
)
from agent.host.fake import FakeHost, Machine
from agent.model.chunked import place_of_manifest, unframe
from agent.model.image import ImageFormat, ImageRef
from agent.model.job import JobState, Result
from agent.model.writing import Begin, Meant, Step
from tests.apply import test_layout
from tests.apply.deploying import DISK, IMAGE, deployed, holds_the_image
from tests.apply.disks import MIB, URL, boots, disk_of, gpt_image, machine, request, serve
from tests.apply.lending import Liar, Mortal, Served, honest, listening, mortal, written
from tests.apply.writing import must_be_unverified, must_hold, step_of

DIGEST = hashlib.sha256(IMAGE).hexdigest()
OTHER = b"\xee" * 446 + IMAGE[446:MIB]
"""The head with another boot code."""
SILENT_S = 0.5


def write(made: Machine, image: ImageRef, *processes: Served, advance: Any = None, **changes: Any) -> Result:
    """Root's part, with these processes."""
    with listening(*processes) as socket:
        step = step_of(made, image, **changes)
        return relayed(FakeHost.of(made), step, socket, advance or (lambda *_: None), SILENT_S * 10)


@pytest.mark.parametrize("image_format", list(ImageFormat))
@pytest.mark.parametrize("verify", [False, True])
def test_as_in_one_process(image_format: ImageFormat, verify: bool) -> None:
    """Every format comes to the same disk, and to the same result."""
    alone, split = machine(12 * MIB), machine(12 * MIB)
    here = write_image(FakeHost.of(alone), step_of(alone, serve(alone, IMAGE, image_format), verify=verify), tell)
    there = write(split, serve(split, IMAGE, image_format), honest(split), verify=verify)

    must_hold(split, IMAGE)
    assert disk_of(split).durable.read(0, 12 * MIB) == disk_of(alone).durable.read(0, 12 * MIB)
    assert timeless(there) == timeless(here)


def tell(*_: object) -> None:
    """Nobody looks."""


def timeless(result: Result) -> Result:
    """Without what the clock says."""
    return {name: value for name, value in result.items() if not name.endswith(("_percent", "_ms", "limited_by"))}


def test_a_deploy() -> None:
    """Through the executor, sealed, with its config drive; the writer is gone before the disk is sealed."""
    made = machine(DISK)
    with listening(honest(made)) as socket:
        job, _ = deployed(FakeHost.of(made), request(serve(made, IMAGE, ImageFormat.QCOW2)), socket)

    assert (job.state, job.fault) == (JobState.SUCCEEDED, None) and holds_the_image(disk_of(made))


def test_a_partition_image() -> None:
    """Its filesystem is looked at by root, and the table is root's."""
    made = test_layout.small(test_layout.SMALL)
    with listening(honest(made)) as socket:
        job, _ = deployed(FakeHost.of(made), test_layout.small_request(made, test_layout.SMALL), socket)

    assert job.fault is None and boots(disk_of(made))
    assert job.result["root_filesystem"] == "ext4" and job.result["root_uuid"]
    test_layout.must_be_whole_or_dead(disk_of(made))


def test_what_root_does_itself() -> None:
    """A file of this machine no other process can read; nobody is asked."""
    made = machine(12 * MIB)
    made.tree.put("/image", IMAGE)
    image = ImageRef(url="file:///image", format=ImageFormat.RAW, sha256=DIGEST)
    write_image(FakeHost.of(made), step_of(made, image), tell, "/nobody/listens")

    must_hold(made, IMAGE)


@pytest.mark.parametrize("image_format", [ImageFormat.CHUNKED, ImageFormat.RAW, ImageFormat.RAW_ZST])
def test_killed_at_any_piece(image_format: ImageFormat) -> None:
    """The next process goes on, and the image is what it should be. Until then the disk cannot boot."""
    met: list[Mortal] = []
    counted = machine(12 * MIB)
    write(counted, serve(counted, IMAGE, image_format), mortal(counted, None, met))
    pieces = met[0].pieces

    assert pieces >= 4
    for at in range(1, pieces + 1):
        made = machine(12 * MIB)
        write(made, serve(made, IMAGE, image_format), mortal(made, at, met), honest(made))
        must_hold(made, IMAGE)


def test_killed_again_and_again() -> None:
    """It is given up with an error that is not the image's; what may help is to try again."""
    made = machine(12 * MIB)
    with pytest.raises(WriterFailed) as failed:
        write(made, serve(made, IMAGE), mortal(made, 4, []))

    assert failed.value.retryable and failed.value.code == "HOST.WRITER_FAILED"
    must_be_unverified(made)


def test_silence() -> None:
    """Who says nothing is hung up on, and another is asked."""
    made = machine(12 * MIB)

    def listens(line: Any) -> None:
        liar = Liar(line, made)
        while liar.line.receive(30):
            pass

    with listening(listens, honest(made)) as socket:
        relayed(FakeHost.of(made), step_of(made, serve(made, IMAGE)), socket, tell, SILENT_S)

    must_hold(made, IMAGE)


def test_nobody_listens() -> None:
    """A socket without anybody behind it is a failure of the writer, and the disk is untouched."""
    made = machine(12 * MIB)
    disk_of(made).write(0, b"precious")
    with pytest.raises(WriterFailed, match="No such file"):
        relayed(FakeHost.of(made), step_of(made, serve(made, IMAGE)), "/nobody/listens", tell)
    assert disk_of(made).read(0, 8) == b"precious"


def test_recalled() -> None:
    """What is not wanted any more ends, here and there; the disk cannot boot."""
    made = machine(12 * MIB)

    def advance(*_: object) -> None:
        raise Recalled("writing", "something else is wanted")

    def lives(line: Any) -> None:
        liar = Liar(line, made)
        _, descriptor = liar.ask(Begin(), IMAGE[:MIB])
        liar.write(descriptor, (0, IMAGE[:MIB]))
        liar.say(Step(done_bytes=1))

    with pytest.raises(Recalled):
        write(made, serve(made, IMAGE), lives, advance=advance)
    must_be_unverified(made)


def test_errors_are_what_they_are() -> None:
    """A wrong image is the image's error, with its code and its hint, not the process's."""
    made = machine(12 * MIB)
    with pytest.raises(DigestMismatch) as there:
        write(made, serve(made, IMAGE, sha256="0" * 64), honest(made))
    with pytest.raises(DigestMismatch) as here:
        write_image(FakeHost.of(made), step_of(made, serve(made, IMAGE, sha256="0" * 64)), tell)

    assert (there.value.evidence, there.value.hint) == (here.value.evidence, here.value.hint)


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


def keeps_it(liar: Liar, _: Machine) -> None:
    """The disk is open while it says that it is done, and long after."""
    descriptor = begun(liar)
    liar.say(written(len(IMAGE), DIGEST))
    liar.write(descriptor, (0, OTHER), (MIB, IMAGE[MIB:]), keeps=Event())


LIES: dict[str, tuple[Lie, str]] = {
    "progress beyond the end": (beyond, "at 2 of 1 bytes"),
    "progress to and fro": (to_and_fro, "at 0 of None bytes"),
    "another digest": (another_digest, "not the image's"),
    "another size": (another_size, "cannot have"),
    "not begun": (not_begun, "not begun"),
    "junk": (junk, "makes no sense"),
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


def test_whom_it_trusts() -> None:
    """Whom root trusts over TLS goes along; an image's credentials do, too."""
    made = machine(12 * MIB)
    access = {"username": "u", "password": "hunter2"}
    image = serve(made, IMAGE, access=access)
    host = FakeHost.of(made)
    host.fetch.trusting("PEM")
    heard: list[Liar] = []

    def hears(line: Any) -> None:
        heard.append(Liar(line, made))

    with listening(hears) as socket, pytest.raises(WriterFailed):
        relayed(host, step_of(made, image), socket, tell)

    order = heard[0].order
    assert order.trusted.ca_pem == "PEM" and order.step.image.access == image.access


def test_where_it_is_asked() -> None:
    """At the socket, if there is one."""
    made = machine(12 * MIB)
    assert socket_of(FakeHost.of(made).files, "/run/socket") is None
    made.tree.put("/run/socket", b"")
    assert socket_of(FakeHost.of(made).files, "/run/socket") == "/run/socket"
