# SPDX-License-Identifier: Apache-2.0
"""Stage 1 over links and servers that fail: the file byte for byte, from wherever it can be had, or an error."""

from __future__ import annotations

from dataclasses import replace
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.apply.crew import Stopped
from agent.apply.meter import Meter, Stage
from agent.apply.source.open import open_source
from agent.apply.source.patience import PATIENCE_S, TRUNCATIONS, Patience
from agent.errors import (
    AccessDenied,
    AgentError,
    ImageChanged,
    ImageOverrun,
    ImageTruncated,
    ImageUnavailable,
    LinkError,
)
from agent.host.fake import FakeHost, FaultPlan, Page
from tests.apply.sources import FILE, SIZE, URL, a_machine, fetched, image, source
from tests.bodies import pieces, whole


@given(places=st.sets(st.integers(1, SIZE - 1), max_size=6), does_ranges=st.booleans(), refusals=st.integers(0, 5))
def test_any_breaks(places: set[int], does_ranges: bool, refusals: int) -> None:
    """Wherever the link breaks, however often the server refuses: the file comes, once, in order."""
    made = a_machine(Page(FILE, breaks_at=sorted(places), does_ranges=does_ranges, refusals=refusals))

    assert fetched(made) == FILE


@given(
    places=st.sets(st.integers(1, SIZE - 1), max_size=6),
    offset=st.integers(0, SIZE),
    length=st.integers(1, SIZE),
    wrong=st.integers(0, 3),
)
def test_any_range(places: set[int], offset: int, length: int, wrong: int) -> None:
    """So does any range, up to the file's end, also where servers give other ranges than those that were asked for."""
    made = a_machine(Page(FILE, breaks_at=sorted(places), wrong_ranges=wrong, validator='"1"'))

    assert fetched(made, image(file_bytes=SIZE), offset, length) == FILE[offset : offset + length]


def test_it_goes_on_where_it_was() -> None:
    """After a break nothing is fetched twice, and after a good connection nothing is waited for."""
    made = a_machine(Page(FILE, breaks_at=[100_000, 100_010, 200_000]))
    began_s = made.uptime_s

    assert fetched(made) == FILE
    assert made.web[URL].opened_at == [0, 100_000, 100_010, 200_000]
    assert made.uptime_s - began_s == 1.0  # after the connection that brought ten bytes


def test_nothing_is_asked_before_it_is_read() -> None:
    """Opening a plain URL, and asking how long it is, asks no server. A range is asked for to see if there are any."""
    made = a_machine()
    with source(made) as opened:
        assert opened.size_bytes is None and made.web[URL].opened_at == []
        assert opened.does_ranges and opened.size_bytes == SIZE
        assert opened.does_ranges and made.web[URL].opened_at == [0]
        assert opened.name == URL and opened.image == image()


@pytest.mark.parametrize("tells_length", [True, False])
@pytest.mark.parametrize("does_ranges", [True, False])
def test_what_a_server_can(tells_length: bool, does_ranges: bool) -> None:
    """Whether it does ranges is seen, whatever else it tells; the length, when it is told, or at the end."""
    made = a_machine(Page(FILE, tells_length=tells_length, does_ranges=does_ranges))
    with source(made) as opened:
        assert opened.does_ranges is does_ranges
        assert opened.size_bytes == (SIZE if tells_length else None)
        with opened.reader() as reader:
            assert whole(reader) == FILE
        assert opened.size_bytes == SIZE


def test_ranges_show_by_themselves() -> None:
    """Who has read a range need not ask."""
    for offset, length in ((5, 10), (5, None), (0, 10)):
        made = a_machine()
        with source(made) as opened:
            with opened.reader(offset, length) as reader:
                assert whole(reader) == FILE[offset:][:length]
            assert opened.does_ranges and len(made.web[URL].opened_at) == 1


def test_range_of_a_server_without() -> None:
    """A range of a server that gives none is an error that says what to do; all of it can be had, also after breaks."""
    made = a_machine(Page(FILE, does_ranges=False, breaks_at=[1000, 200_000]))
    with pytest.raises(ImageUnavailable, match="no ranges") as caught:
        fetched(made, offset=10, length=10)
    assert "does ranges" in caught.value.hint

    assert fetched(made, length=10) == FILE[:10]
    assert fetched(made) == FILE


def test_file_that_changes() -> None:
    """A file that becomes another one is an error, never a mixture, with strong validators and with others."""
    for validator in ('"1"', 'W/"1"', None):
        made = a_machine(Page(FILE, validator=validator, breaks_at=[150_000]))
        with source(made) as opened, opened.reader() as reader:
            came = pieces(reader, 100_000)
            next(came)
            made.web[URL] = Page(bytes(SIZE), validator='"2"', breaks_at=[150_000])
            with pytest.raises(ImageChanged, match="'\"2\"' now"):
                list(came)


def test_other_readers_see_the_change() -> None:
    """The validator is the source's, not the reader's: ranges of two files are never put together."""
    made = a_machine(Page(FILE, validator='"1"'))
    with source(made) as opened:
        with opened.reader(0, 10) as reader:
            whole(reader)
        made.web[URL] = Page(FILE, validator='"2"')
        with pytest.raises(ImageChanged), opened.reader(10, 10) as reader:
            whole(reader)


@pytest.mark.parametrize("tells_length", [True, False])
@pytest.mark.parametrize(("said", "error"), [(SIZE + 1, ImageTruncated), (SIZE - 1, ImageOverrun)])
def test_another_length(said: int, error: type[AgentError], tells_length: bool) -> None:
    """A file that is longer or shorter than the image is an error, whether or not the server says so beforehand."""
    with pytest.raises(error):
        fetched(a_machine(Page(FILE, tells_length=tells_length)), image(file_bytes=said))


def test_bodies_that_end_too_early() -> None:
    """A server that ends every body early at the same place has no more: that is not put up with for ever."""
    made = a_machine(Page(FILE, ends_at=1000))
    with pytest.raises(ImageTruncated):
        fetched(made)
    assert len(made.web[URL].opened_at) == 1 + TRUNCATIONS and made.uptime_s < PATIENCE_S / 10


def test_patience_ends() -> None:
    """A server that stays away for half an hour is given up, after few attempts; the time before does not count."""
    made = a_machine()
    with source(made) as opened, opened.reader() as reader:
        reader.fill(memoryview(bytearray(100)))
        made.uptime_s += 10 * PATIENCE_S  # the disk was busy
        made.web[URL].breaks_at, began_s = [200], made.uptime_s
        made.web[URL].refusals = 10**6
        with pytest.raises(LinkError, match="refused"):
            whole(reader)
    assert PATIENCE_S < made.uptime_s - began_s < PATIENCE_S + 60
    assert 10**6 - made.web[URL].refusals < 100


def test_bytes_now_and_then() -> None:
    """A server that gives a few bytes and breaks, again and again, is given up as one that gives none is; after much
    that came it has all the time again.
    """
    made = a_machine(Page(FILE, fill_s=100.0, breaks_at=list(range(10, SIZE, 10))))
    with pytest.raises(LinkError, match="reset"):
        fetched(made)
    assert PATIENCE_S < made.uptime_s - 100.0 < PATIENCE_S + 200

    made.uptime_s = 100.0
    patience, broken = Patience(FakeHost.of(made).clock, Event()), LinkError("fetching", "reset")
    for came in (0, 10**9, 0):
        for _ in range(13):
            patience.failed(broken, 100.0, came, 0)
    with pytest.raises(LinkError):
        for _ in range(6):
            patience.failed(broken, 100.0, 100, 0)


def test_work_that_ended() -> None:
    """Nobody waits, and nothing is asked, for work that ended elsewhere."""
    made, stop = a_machine(Page(FILE, refusals=10**6)), Event()
    stop.set()
    with source(made, stop=stop) as opened, opened.reader() as reader, pytest.raises(Stopped):
        whole(reader)
    assert made.web[URL].refusals == 10**6


def test_work_that_ends_in_a_pause() -> None:
    """A pause ends with the work."""
    made, stop = a_machine(Page(FILE, refusals=1)), Event()
    host = FakeHost.of(made)

    class Ending:
        def wait(self, event: Event, timeout_s: float) -> bool:
            event.set()
            return True

        def __getattr__(self, name: str) -> object:
            return getattr(host.clock, name)

    ending = replace(host, clock=Ending())  # type: ignore[arg-type]
    meter = Meter(host.clock)
    with open_source(ending, image(), stop, meter) as opened, opened.reader() as reader, pytest.raises(Stopped):
        whole(reader)


@pytest.mark.parametrize("status", [404, 401, 403, 418])
def test_what_no_retry_helps(status: int) -> None:
    """A server that says no is believed at once."""
    made = a_machine(Page(FILE, status=status))
    with pytest.raises(ImageUnavailable, match=str(status)) as caught:
        fetched(made)
    assert isinstance(caught.value, AccessDenied) is (status in (401, 403)) and made.uptime_s == 100.0


def test_what_is_counted() -> None:
    """Every byte that was fetched is counted, and the time that it was waited for, but not the pauses."""
    made = a_machine(Page(FILE, fill_s=2.0, refusals=3, does_ranges=False, breaks_at=[100_000]))
    host = FakeHost.of(made)
    meter = Meter(host.clock)
    with open_source(host, image(), Event(), meter) as opened, opened.reader() as reader:
        assert whole(reader, 100_000) == FILE
    assert meter.bytes_of(Stage.SOURCE) == SIZE + 100_000  # what a server without ranges gave twice
    assert meter.elapsed_s > 7 and int(meter.result()["source_percent"]) < 100


def test_several_readers() -> None:
    """Threads read side by side, each its own range, over one source."""
    made, got = a_machine(Page(FILE, breaks_at=[50_000, 150_000, 250_000])), dict[int, bytes]()
    with source(made) as opened:

        def work(first: int) -> None:
            for offset in range(first, SIZE, 40_000):
                with opened.reader(offset, 10_000) as reader:
                    got[offset] = whole(reader, 999)

        threads = [Thread(target=work, args=(first,), name=f"reader-{first}") for first in range(0, 40_000, 10_000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert b"".join(got[offset] for offset in sorted(got)) == FILE


@given(at=st.integers(1, 12))
def test_any_failing_call(at: int) -> None:
    """Whichever call of the doors fails, the file comes."""
    host = FakeHost.of(a_machine(), FaultPlan(at=at))
    with open_source(host, image(), Event(), Meter(host.clock)) as opened, opened.reader() as reader:
        assert whole(reader, 50_000) == FILE
