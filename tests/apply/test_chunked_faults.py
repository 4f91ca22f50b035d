# SPDX-License-Identifier: Apache-2.0
"""Whatever goes wrong with a chunked image, on its way or on the disk: the image is whole in the end, or nothing boots.

Death and failure come at every call of every door in turn; wrong bytes at any place of the file.
"""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import AgentError, DigestMismatch, HostError, ImageTruncated, LinkError
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine, Page
from agent.model.image import ImageRef
from agent.model.job import JobState
from tests.apply.chunks import KIB, MIB, STORE, packing, reference, serve, serve_store
from tests.apply.deploying import DISK, IMAGE, deployed, holds_the_image
from tests.apply.disks import URL, boots, disk_of, gpt_image, machine, request
from tests.apply.writing import head_of, must_be_unverified, must_hold, write

SMALL = 12 * MIB
PACKED, FILE = packing(IMAGE)
REFERENCE = reference(PACKED.digest)
MIRROR = "http://mirror.example/image"
PLACES = st.integers(0, len(FILE) - 1)


def with_page(page: Page) -> Machine:
    """A machine whose image is that page."""
    made = machine(SMALL)
    made.web[URL] = page
    return made


def right_or_nothing(made: Machine, image: ImageRef = REFERENCE) -> AgentError | None:
    """Write it: the whole image is there, or an error is told and nothing could boot."""
    try:
        write(made, image)
    except AgentError as error:
        assert head_of(made) is None and not boots(disk_of(made))
        return error
    must_hold(made, IMAGE)
    return None


@settings(max_examples=150)
@given(PLACES, st.integers(1, 255))
def test_wrong_bits_on_the_way(at: int, bits: int) -> None:
    """A byte that is wrong every time is told, or was of no importance; what is on the disk is the image."""
    body = bytearray(FILE)
    body[at] ^= bits
    error = right_or_nothing(with_page(Page(bytes(body))))

    assert error is None or error.code != "AGENT.ERROR"


@settings(max_examples=40)
@given(PLACES, st.integers(1, 255))
def test_a_mirror_has_the_right_bytes(at: int, bits: int) -> None:
    """Where a mirror has them, a byte that is wrong costs nothing but another request."""
    body = bytearray(FILE)
    body[at] ^= bits
    made = with_page(Page(bytes(body)))
    made.web[MIRROR] = Page(FILE)

    assert right_or_nothing(made, reference(PACKED.digest, mirrors=[MIRROR])) is None


@settings(max_examples=60)
@given(PLACES, st.booleans())
def test_cut_anywhere(at: int, tells_length: bool) -> None:
    """A file that is cut at any byte is told as such, and the disk is as it was."""
    made = with_page(Page(FILE[:at], tells_length=tells_length))
    with pytest.raises(AgentError):
        write(made, REFERENCE)

    assert head_of(made) is None and disk_of(made).content.blank


@settings(max_examples=60)
@given(PLACES)
def test_bodies_that_end_too_early(at: int) -> None:
    """A server whose bodies end at some byte, always, is given up; the image is never taken for whole."""
    error = right_or_nothing(with_page(Page(FILE, ends_at=at)))

    assert error is None or isinstance(error, ImageTruncated | LinkError)


@settings(max_examples=60)
@given(st.lists(PLACES, max_size=8), st.integers(0, 3), st.integers(0, 2))
def test_links_that_break(places: list[int], refusals: int, wrong_ranges: int) -> None:
    """Connections reset at any bytes, refused, and answers with another range than was asked for cost only time."""
    made = with_page(Page(FILE, breaks_at=sorted(set(places)), refusals=refusals, wrong_ranges=wrong_ranges))
    error = right_or_nothing(made)

    assert error is None or wrong_ranges


@pytest.mark.parametrize("status", [400, 403, 404, 416, 500, 503])
def test_server_that_refuses(status: int) -> None:
    """A server that says no is an error; a store that lacks one chunk too; nothing could boot."""
    assert right_or_nothing(with_page(Page(FILE, status=status))) is not None
    made = machine(SMALL)
    image = serve_store(made, IMAGE)
    chunks = [url for url in made.web if url.startswith(f"{STORE}/chunks/")]
    made.web[chunks[-1]].status = status

    assert right_or_nothing(made, image) is not None


class Changing(list[int]):
    """Counts the requests of a page, and gives it another body after some."""

    def __init__(self, page: Page, after: int, body: bytes) -> None:
        super().__init__()
        self._page = page
        self._after = after
        self._body = body

    def append(self, offset: int, /) -> None:
        """One more request."""
        super().append(offset)
        if len(self) > self._after:
            self._page.body = self._body


@pytest.mark.parametrize("validators", [True, False])
@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize("seed", [2, None])
def test_file_that_changes_under_way(after: int, validators: bool, seed: int | None) -> None:
    """A file that becomes another after any request, of the same length or not, is no image of two halves."""
    other = packing(gpt_image(seed=seed))[1] if seed else FILE[: len(FILE) // 2] + FILE[len(FILE) // 2 + 1 :] + b"x"
    page = Page(FILE, validator='"one"' if validators else None)
    page.opened_at = Changing(page, after, other)

    right_or_nothing(with_page(page))


@settings(max_examples=40)
@given(st.data())
def test_wrong_bits_in_a_store(data: st.DataObject) -> None:
    """A damaged chunk of a store is told, unless a mirror has it."""
    made = machine(SMALL)
    image = serve_store(made, IMAGE)
    url = data.draw(st.sampled_from([url for url in made.web if url.startswith(STORE)]))
    body = bytearray(made.web[url].body)
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    good = dict(made.web)
    made.web[url] = Page(bytes(body))
    assert right_or_nothing(made, image) is not None

    for path, page in good.items():
        made.web[path.replace("images.example", "mirror.example")] = page
    there = image.model_copy(update={"mirrors": (image.url.replace("images.example", "mirror.example"),)})
    assert right_or_nothing(made, there) is None


def test_a_damaged_chunk_is_named() -> None:
    """With its number; it was fetched three times."""
    body = bytearray(FILE)
    body[len(body) // 2] ^= 1
    made = with_page(Page(bytes(body)))
    with pytest.raises(DigestMismatch, match=r"chunk \d+: its sha256 was wrong 3 times"):
        write(made, REFERENCE)

    must_be_unverified(made)


def calls_of_one_run(image: ImageRef, made: Machine) -> list[str]:
    """The door calls of an undisturbed deploy. Threads make them, so their order and number vary a little."""
    faults = FaultPlan()
    deployed(FakeHost.of(made, faults), request(image, drive=None))
    return faults.calls


def prepared(*, is_there: bool, is_store: bool) -> tuple[Machine, ImageRef]:
    """A machine whose disk is blank, or holds an older form of the image."""
    made = machine(DISK)
    image = (serve_store if is_store else serve)(made, IMAGE)
    if is_there:
        old = bytearray(IMAGE)
        old[5 * MIB - 9000 : 5 * MIB - 4000] = b"\x77" * 5000
        disk_of(made).write(0, bytes(old))
        disk_of(made).flush()
    return made, image


@pytest.mark.parametrize(
    ("is_there", "is_store", "effect"),
    [
        (False, False, Effect.FAIL),
        (False, False, Effect.DIE_AFTER),
        (True, False, Effect.DIE_AFTER),
        (False, True, Effect.FAIL),
    ],
)
def test_every_fault(is_there: bool, is_store: bool, effect: Effect) -> None:
    """Failing or dying at any call, then started again: the disk boots only if it is whole, and then it is right."""
    made, image = prepared(is_there=is_there, is_store=is_store)
    for at in range(1, len(calls_of_one_run(image, made)) + 1):
        tried(effect, at, is_there=is_there, is_store=is_store)


def tried(effect: Effect, at: int, *, is_there: bool, is_store: bool) -> None:
    """That call. After death the power goes too: only what was flushed counts, and of the rest every second write."""
    made, image = prepared(is_there=is_there, is_store=is_store)
    wanted = request(image, drive=None).model_copy(update={"overwrite": True})
    with contextlib.suppress(Died, HostError):
        deployed(FakeHost.of(made, FaultPlan(at=at, effect=effect)), wanted)
    medium = disk_of(made)
    if effect is not Effect.FAIL:
        medium.cut_power(lambda number: number % 2 == 0)
    was = is_there and medium.durable.read(5 * MIB - 9000, 1) == b"\x77"
    assert was or not boots(medium) or holds_the_image(medium, None), at
    job, outbox = deployed(FakeHost.of(made), wanted)

    assert [one.report.state for one in outbox.pending() if one.report.state.final] == [job.state], at
    assert holds_the_image(medium, None) if job.state is JobState.SUCCEEDED else was or not boots(medium), at


def test_died_and_went_on() -> None:
    """What was on the medium when the process died is not fetched again."""
    made = machine(DISK)
    disk = gpt_image(24 * MIB, seed=3)
    filled = bytearray(disk)
    filled[2 * MIB : 22 * MIB] = bytes(range(1, 251)) * (20 * MIB // 250) + b"x" * (20 * MIB % 250)
    packed, file = packing(bytes(filled), level=1)
    made.web[URL] = Page(file)
    undisturbed = FaultPlan()
    write(machine_with(file), reference(packed.digest), undisturbed)
    faults = FaultPlan(at=len(undisturbed.calls) * 9 // 10, effect=Effect.DIE_AFTER)
    with pytest.raises(Died):
        write(made, reference(packed.digest), faults)
    disk_of(made).flush()
    result = write(made, reference(packed.digest), resumed=True)

    must_hold(made, bytes(filled))
    assert isinstance(result["reused_bytes"], int) and result["reused_bytes"] >= 256 * KIB


def machine_with(file: bytes) -> Machine:
    """One with this image."""
    made = machine(DISK)
    made.web[URL] = Page(file)
    return made
