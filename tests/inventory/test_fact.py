# SPDX-License-Identifier: Apache-2.0
"""Known, absent, unknown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.errors import DecodeError, HostError
from agent.host.fake import FakeHost, Unreadable
from agent.inventory.cpu import architecture, first_processor
from agent.inventory.fact import attempt, first, first_asked, flag, number, of, said, text
from agent.inventory.network.nic import pci_address
from agent.model.fact import Fact, Unknown

FILES = FakeHost.with_files(
    {
        "/text": "  two   words \n",
        "/filler": "To Be Filled By O.E.M.\n",
        "/number": "42\n",
        "/none": "-1\n",
        "/broken": Unreadable("Input/output error"),
    }
).files


def test_text_of_sysfs() -> None:
    """A line is trimmed; a placeholder and a missing file are absent; a failing one is unknown, with the reason."""
    assert text(FILES, "/text") == "two words"
    assert text(FILES, "/filler") is None
    assert text(FILES, "/missing") is None
    assert text(FILES, "/broken") == Unknown(unknown="reading /broken: Input/output error")


def test_number_of_sysfs() -> None:
    """A number is known, -1 is the kernel's word for none, words are no number."""
    assert number(FILES, "/number") == 42
    assert number(FILES, "/none") is None
    assert number(FILES, "/text") == Unknown(unknown="reading /text: 'two   words' is no number")
    assert flag(FILES, "/number") is True
    assert isinstance(flag(FILES, "/broken"), Unknown)


@pytest.mark.parametrize("filler", ["Default string", "  ", "00000000", "xxxx", "....", "N/A", "INVALID", "0123456789"])
def test_fillers_say_nothing(filler: str) -> None:
    """What boards say when nobody filled a field in is absent, not a name."""
    assert said(filler) is None


@pytest.mark.parametrize("name", ["S1", "0001", "7XK4Q33", "OEM-7", "Unknown Worlds"])
def test_names_are_kept(name: str) -> None:
    """A name that merely looks like a filler is kept."""
    assert said(name) == name


def test_sources_in_order() -> None:
    """The first source that has an answer gives it; one that fails ends the search, for another may use other words."""
    why = Unknown(unknown="why")
    absent: Fact[str] = None

    assert first(absent, "a", "b") == "a"
    assert first(absent, why, "b") is why
    assert first(absent, absent) is None


def test_facts_of_a_source() -> None:
    """What is asked of an unknown source is unknown, of an absent one absent."""
    why = Unknown(unknown="why")
    source: Fact[str] = why
    assert of(source, str.upper) is why
    source = None
    assert of(source, str.upper) is None
    source = "a"
    assert of(source, str.upper) == "A"


def test_only_our_errors_are_facts() -> None:
    """A probe's failure is an unknown fact; a fault of ours is not, and is raised."""

    def failing() -> str:
        raise HostError("reading x", "broken")

    def buggy() -> str:
        raise KeyError("x")

    assert attempt(failing) == Unknown(unknown="reading x: broken")
    with pytest.raises(KeyError):
        attempt(buggy)


def test_architecture_of_old_kernels() -> None:
    """Kernels before 6.1 do not tell their architecture; the processor's own words do."""
    files = FakeHost.with_files({}).files

    assert architecture(files, first_processor("flags : fpu lm\n")) == "x86_64"
    assert architecture(files, first_processor("CPU implementer : 0x41\n")) == "aarch64"
    with pytest.raises(DecodeError):
        architecture(files, first_processor("isa : rv64imafdc\n"))


@pytest.mark.parametrize(
    ("device", "address"),
    [
        ("/sys/devices/pci0000:17/0000:17:02.0/0000:19:00.0", "0000:19:00.0"),
        ("/sys/devices/pci0000:00/0000:00:04.0/virtio1", "0000:00:04.0"),
        ("/sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0", None),
        ("/sys/devices/platform/soc/fe300000.ethernet", None),
    ],
)
def test_pci_address(device: str, address: str | None) -> None:
    """A NIC's PCI function is the last on its path; a NIC on USB or on the chip itself has none."""
    assert pci_address(FakeHost.with_files({}).files, device) == address


def test_nobody_behind_the_answer_is_asked() -> None:
    """An answer, or a source that fails, ends the search."""
    log: list[Fact[str]] = []

    def source(fact: Fact[str]) -> Callable[[], Fact[str]]:
        def ask() -> Fact[str]:
            log.append(fact)
            return fact

        return ask

    failed = Unknown(unknown="EIO")

    assert first_asked(source(None), source("a"), source("b")) == "a" and log == [None, "a"]
    assert first_asked(source(failed), source("c")) == failed and log == [None, "a", failed]
    assert first_asked(source(None)) is None
