# SPDX-License-Identifier: Apache-2.0
"""Images written by another process than root's: as in one, whatever becomes of that process."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from agent.apply.image import write_image
from agent.apply.writer.relay import relayed, socket_of
from agent.errors import (
    DigestMismatch,
    Recalled,
    WriterFailed,
)
from agent.host.fake import FakeHost
from agent.model.image import ImageFormat, ImageRef
from agent.model.job import JobState, Result
from agent.model.writing import Begin, Step
from tests.apply import test_layout
from tests.apply.deploying import DISK, IMAGE, deployed, holds_the_image
from tests.apply.disks import MIB, boots, disk_of, machine, request, serve
from tests.apply.lending import Liar, Mortal, honest, listening, mortal, tell, write
from tests.apply.writing import must_be_unverified, must_hold, step_of

SILENT_S = 0.5


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
    image = ImageRef(url="file:///image", format=ImageFormat.RAW, sha256=hashlib.sha256(IMAGE).hexdigest())
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
