# SPDX-License-Identifier: Apache-2.0
"""What outlives the process, and what of it must not."""

from __future__ import annotations

from agent.api.ironic.record import Order, Record
from agent.host.fake import FakeHost
from agent.model.ironic.wire import CommandResult, Node
from tests.api.ironic.served import BOOT, DIRECTORY, UUID, identity

NODE = Node(
    uuid=UUID,
    properties={"root_device": {"serial": "S0"}, "skip_block_devices": [], "cpu_arch": "x86_64"},
    instance_info={"root_device": {"wwn": "0x5"}, "configdrive": "s3cret"},
    driver_info={"redfish_password": "s3cret"},
)


def test_all_of_it_or_nothing() -> None:
    """Token, certificate, URL and list come back together in the same boot; in another one none of them (T2, T3)."""
    host = FakeHost.with_files({})
    record = Record(host.files, DIRECTORY, BOOT)
    record.open(identity(), NODE)
    record.list((CommandResult(id="1", command_name="sync"),))
    record.keep(Order(id="1", name="standby.sync", params={}))

    again = Record(host.files, DIRECTORY, BOOT)
    assert again.held == record.held
    assert again.kept() == record.kept()
    other = Record(host.files, DIRECTORY, "boot-2")
    assert (other.held, other.kept()) == (None, None)


def test_of_a_node_only_its_disks() -> None:
    """A config drive is not kept longer than its command takes."""
    host = FakeHost.with_files({})
    record = Record(host.files, DIRECTORY, BOOT)
    record.open(identity(), NODE)
    record.learn(NODE)

    assert record.node.instance_info == {"root_device": {"wwn": "0x5"}}
    assert record.node.properties == {"root_device": {"serial": "S0"}, "skip_block_devices": []}
    assert "s3cret" not in host.files.read_text(f"{DIRECTORY}/held.json")


def test_the_end() -> None:
    """Once Ironic has no more use for us, a restart does not begin again; and a rescued tenant finds no secret."""
    host = FakeHost.with_files({})
    record = Record(host.files, DIRECTORY, BOOT)
    record.open(identity(), NODE)
    record.end()

    held = Record(host.files, DIRECTORY, BOOT).held
    assert held is not None
    assert held.is_over
    assert "t" * 43 not in host.files.read_text(f"{DIRECTORY}/held.json")
