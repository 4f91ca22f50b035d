# SPDX-License-Identifier: Apache-2.0
"""NVMe drives with several namespaces: none is called erased while another, which nobody sees, keeps what it holds."""

from __future__ import annotations

from typing import Any

import pytest

from agent.host.fake import FakeHost
from agent.host.fake.erasing import NvmeMind
from agent.model.erasing import Means
from tests.apply.erasable import drive, holds_data, machine, only, served


def numbers(*namespaces: int) -> bytes:
    """A list of namespaces, as Identify has it."""
    return b"".join(number.to_bytes(4, "little") for number in namespaces).ljust(4096, b"\0")


def test_several_namespaces_stay_apart() -> None:
    """What would take every namespace of a drive is not used where there are several."""
    made = machine()
    mind = drive(made, NvmeMind, fna=7, active=(1, 2))
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.means, mind.orders) == ("erased", Means.ZERO, [])
    assert len(one.passed_over) == 4 and "every namespace" in one.passed_over[0]


def test_a_number_that_cannot_be_read_costs_the_format() -> None:
    """Where sysfs does not say which namespace it is, the next means is tried."""
    made = machine()
    mind = drive(made, NvmeMind, powers=0)
    made.tree.put("/sys/devices/pci0000:00/nvme/nvme0/nvme0n1/nsid", b"?\n")
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.means, mind.orders) == ("erased", Means.ZERO, [])
    assert "does not say which namespace it is" in one.passed_over[0]


def test_a_namespace_that_nobody_sees_goes_too() -> None:
    """One that a tenant has detached holds what it held: where all is to go, the whole drive forgets."""
    made = machine()
    mind = drive(made, NvmeMind)
    made.drives["/dev/nvme0n1", "identify 16 0"] = numbers(1, 2)
    one = only(served(FakeHost.of(made)))

    assert (one.outcome, one.means, mind.orders) == ("erased", Means.NVME_SANITIZE_CRYPTO, ["sanitize 4"])


@pytest.mark.parametrize(
    ("facts", "asked"),
    [
        ({"powers": 0}, {}),
        ({"powers": 0, "oacs": 0}, {}),
        ({"cmic": 2}, {}),
        ({}, {"serials": ("D0",)}),
        ({}, {"method": "zero"}),
    ],
)
def test_a_namespace_that_nobody_sees_is_not_erased(facts: dict[str, object], asked: dict[str, Any]) -> None:
    """Where only what is seen is erased, be it that the other may be another machine's, nothing is proven."""
    made = machine()
    mind = drive(made, NvmeMind, **facts)
    made.drives["/dev/nvme0n1", "identify 16 0"] = numbers(1, 2)
    one = only(served(FakeHost.of(made), 1, **asked))

    assert (one.outcome, one.nist) == ("unproven", "none") and not holds_data(mind)
    assert "namespace 2 is attached to nobody and was not erased" in one.evidence
