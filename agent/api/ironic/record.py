# SPDX-License-Identifier: Apache-2.0
"""What outlives the process within one boot: who we are to Ironic, and the commands that it gave.

All of it together or nothing: Ironic hands a token out once, refuses another certificate or URL, and takes a list that
is empty for a machine that has just booted, whose step it then skips (ironic.drivers.modules.agent_base,
`_freshly_booted`). In another boot all of it is void.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr

from agent.errors import WrongNode
from agent.host.doors import Files
from agent.model.frozen import Frozen, Secret, decode
from agent.model.ironic.wire import CommandResult, Node

DISKS = ("root_device", "skip_block_devices")
KIND = ("is_whole_disk_image",)


class Identity(Frozen):
    """Who we are to Ironic."""

    node_uuid: str
    token: Secret
    callback_url: str
    certificate_pem: str
    key_pem: Secret
    heartbeat_timeout_s: float
    tls_min_version: str | None = None
    tls_ciphers: str | None = None


class Held(Frozen):
    """The whole record. Of the node there is only what says which disks are meant: some commands come without it."""

    boot_id: str
    identity: Identity
    node: Node
    commands: tuple[CommandResult, ...] = ()
    is_over: bool = Field(default=False, description="rescued or locked down: nothing more is to be done")


class Order(Frozen):
    """A command with its parameters, which may hold secrets, for as long as it runs."""

    id: str
    name: str
    params: dict[str, Any]


def about_disks(node: Node) -> Node:
    """Nothing else, least of all its config drive."""
    return Node(
        uuid=node.uuid,
        properties={name: node.properties[name] for name in DISKS if name in node.properties},
        instance_info={name: node.instance_info[name] for name in DISKS if name in node.instance_info},
        driver_internal_info={
            name: node.driver_internal_info[name] for name in KIND if name in node.driver_internal_info
        },
        raid_config=node.raid_config,
    )


class Record:
    """One directory, which dies with the boot. Everything in it has mode 0600."""

    def __init__(self, files: Files, directory: str, boot_id: str) -> None:
        self._files = files
        self._path = f"{directory}/held.json"
        self._order_path = f"{directory}/order.json"
        self._held = self._read(boot_id)
        self._boot_id = boot_id

    @property
    def held(self) -> Held | None:
        """None before the first lookup of this boot."""
        return self._held

    def open(self, identity: Identity, node: Node) -> None:
        """Ironic knows us now."""
        self._write(Held(boot_id=self._boot_id, identity=identity, node=about_disks(node)))

    def learn(self, node: Node) -> None:
        """Ironic said more of the node. Raises `WrongNode` where it is another one."""
        if node.uuid != self._present.identity.node_uuid:
            told = f"it is for {node.uuid}, this is {self._present.identity.node_uuid}"
            raise WrongNode("reading a command of Ironic's", told)
        if (known := about_disks(node)) != self._present.node:
            self._write(self._present.model_copy(update={"node": known}))

    @property
    def node(self) -> Node:
        """As Ironic told of it last."""
        return self._present.node

    def list(self, commands: tuple[CommandResult, ...]) -> None:
        """These are the commands now."""
        self._write(self._present.model_copy(update={"commands": commands}))

    def end(self) -> None:
        """Nothing more is to be done in this boot. Whoever has the machine from now on finds no secret of Ironic's."""
        nothing = SecretStr("")
        identity = self._present.identity.model_copy(update={"token": nothing, "key_pem": nothing})
        self._write(self._present.model_copy(update={"is_over": True, "identity": identity, "commands": ()}))
        self.drop()

    def keep(self, order: Order) -> None:
        """Before it is listed: what is listed as running can be gone on with."""
        self._files.write(self._order_path, order.model_dump_json().encode(), mode=0o600)

    def kept(self) -> Order | None:
        """The order that was under way."""
        if not self._files.exists(self._order_path):
            return None
        return decode(Order, self._files.read_bytes(self._order_path), "reading the command that was under way")

    def drop(self) -> None:
        """It came to its end."""
        self._files.remove(self._order_path)

    @property
    def _present(self) -> Held:
        assert self._held is not None, "nothing is listed before the lookup"
        return self._held

    def _write(self, held: Held) -> None:
        self._files.write(self._path, held.model_dump_json().encode(), mode=0o600)
        self._held = held

    def _read(self, boot_id: str) -> Held | None:
        if not self._files.exists(self._path):
            return None
        held = decode(Held, self._files.read_bytes(self._path), "reading what Ironic ordered before")
        if held.boot_id != boot_id:
            self.drop()
            return None
        return held
