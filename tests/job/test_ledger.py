# SPDX-License-Identifier: Apache-2.0
"""The ledger of desired state."""

from __future__ import annotations

import pytest

from agent.errors import ConfigurationChanged, GenerationOutdated, WrongNode
from agent.host.fake import FakeHost
from agent.job.ledger import Ledger
from agent.model.protocol import Desired
from agent.model.request import RebootRequest
from tests.hardware import static

DIRECTORY = "/var/lib/bms-agent"
FIVE = Desired(generation=5, node_id="node-1", network=static())


def ledger(host: FakeHost) -> Ledger:
    """The ledger as a starting process opens it."""
    return Ledger(host.files, DIRECTORY, "node-1")


def test_news_is_kept_over_a_restart() -> None:
    """What was accepted is held by the next process, and is no news to it."""
    host = FakeHost.with_files({})
    assert ledger(host).accept(FIVE) is True

    again = ledger(host.restarted())
    assert again.held == FIVE and again.generation == 5
    assert again.accept(FIVE) is False


def test_never_backwards() -> None:
    """A lower generation is refused, and what is held stays."""
    held = ledger(FakeHost.with_files({}))
    held.accept(FIVE)
    with pytest.raises(GenerationOutdated, match="generation 5 is held"):
        held.accept(FIVE.model_copy(update={"generation": 4}))

    assert held.held == FIVE


def test_same_generation_with_other_content() -> None:
    """A generation's content never changes."""
    held = ledger(FakeHost.with_files({}))
    held.accept(FIVE)
    with pytest.raises(ConfigurationChanged):
        held.accept(FIVE.model_copy(update={"network": None}))


@pytest.mark.parametrize(
    "other",
    [
        Desired(generation=9, node_id="node-2"),
        Desired(generation=9, node_id="node-1", request=RebootRequest(request_id="r", node_id="node-2")),
    ],
)
def test_of_another_node(other: Desired) -> None:
    """What names another node, outside or in its request, is refused and not kept."""
    held = ledger(FakeHost.with_files({}))
    with pytest.raises(WrongNode, match="node-2"):
        held.accept(other)

    assert held.held is None


def test_ledger_of_an_earlier_owner_is_not_held() -> None:
    """A ledger that was written as another node says nothing about this one."""
    host = FakeHost.with_files({})
    ledger(host).accept(FIVE)

    assert Ledger(host.files, DIRECTORY, "node-7").held is None
