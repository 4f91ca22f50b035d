# SPDX-License-Identifier: Apache-2.0
"""A running controller: what every flow is given first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from agent.controller import bundles, images
from agent.controller.bmc import PowerDriver, Redfish
from agent.controller.clock import Clock, SystemClock
from agent.controller.images import Announced, Kept
from agent.controller.imports.convert import Order, Workshop
from agent.controller.imports.download import Networks, Tell
from agent.controller.imports.incoming import forget_parts
from agent.controller.keys import Keys, load_key, load_token
from agent.controller.nonces import Nonces
from agent.controller.options import Options, host_of
from agent.controller.records.access import Caller, audited
from agent.controller.refusal import Unauthorized
from agent.controller.store.database import Store, Transaction, open_store
from agent.controller.tls import Authority, load_authority
from agent.controller.wakeups import Wakeups
from agent.errors import ConfigError
from agent.model.image import Access

UNFINISHED = ".restoring"
"""In the data directory, while a backup is being moved there."""


class Importer(Protocol):
    """Makes images of foreign files. Its methods take hours, and end when `tell` raises."""

    def must_be_equipped(self) -> None:
        """Raises `ToolMissing`."""
        ...

    def fetch(
        self, url: str, access: Access, announced: Announced, path: Path, tell: Tell, *, inside: Networks | None
    ) -> None:
        """A URL into a file, from the Internet or one of these networks; None: from anywhere. Raises `AgentError`."""
        ...

    def convert(self, order: Order, target: Path, tell: Tell) -> Kept:
        """A file into a chunked image. Raises `AgentError`."""
        ...


@dataclass(frozen=True)
class Controller:
    """Options, store, keys, and the doors to the outside: the clock and the machines' BMCs."""

    options: Options
    store: Store
    keys: Keys
    user_token: str = field(repr=False)
    clock: Clock
    power: PowerDriver
    importer: Importer
    wakeups: Wakeups
    started_at: datetime
    authority: Authority | None = field(default=None, repr=False)
    """Of its TLS, if it has any."""
    nonces: Nonces = field(default_factory=Nonces, repr=False)
    caller: Caller | None = None
    """In whose name: a user's. None: an agent's, or that of nobody but time."""
    approved: bool = False
    """What is ordered now, two people want."""

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A view of the records."""
        with self.store.read(self.caller) as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A change of the records, kept together with the word on who made it; once it is kept, the long polls of the
        nodes concerned are woken. Raises `Unauthorized`."""
        with self.store.write(self.caller) as tx:
            _must_be_good(tx, self.caller)
            yield tx
            if self.caller is not None:
                tx.audit.try_add(audited(self.caller, self.clock.now()))  # one word a call
        for node_id in tx.changed:
            self.wakeups.wake(node_id)

    def for_agents(self, url: str) -> tuple[str, str | None]:
        """Where agents call, if firmware reaches us at that URL; and the digest of the authority, where it is TLS."""
        if self.authority is None:
            return url, None
        return f"https://{host_of(url)}:{self.options.tls_port}", self.authority.pin

    @property
    def project(self) -> str | None:
        """Whose it is, if something is created."""
        return self.caller.project if self.caller else None

    @property
    def images(self) -> Path:
        """Where uploaded images are."""
        return self.options.data / "images"

    @property
    def bundles(self) -> Path:
        """Where nodes' bundles of logs are, each node's in a directory of its own."""
        return self.options.data / "bundles"

    @property
    def imports(self) -> Path:
        """Where the files of imports are, each in a directory of its own."""
        return self.options.data / "imports"


def _must_be_good(tx: Transaction, caller: Caller | None) -> None:
    """Whoever was shut out since their call began changes nothing by it: it may have sent gigabytes, or waited."""
    if caller is None or caller.token_id is None:
        return
    token = tx.api_tokens.get(caller.token_id)
    if token is None or token.revoked_at is not None:
        raise Unauthorized("authenticating a user", f"token {caller.token_id} is not good any more")


def open_controller(
    options: Options,
    clock: Clock | None = None,
    power: PowerDriver | None = None,
    importer: Importer | None = None,
) -> Controller:
    """Make or open everything below the data directory. Raises `ConfigError`."""
    if (options.data / UNFINISHED).exists():
        raise ConfigError(
            f"opening {options.data}",
            "a backup was being restored there, and that was cut off",
            hint="Restore it again: bms-agent controller restore.",
        )
    for directory in (options.data, options.data / "images", options.data / "imports"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock = clock or SystemClock()
    controller = Controller(
        options=options,
        store=open_store(options.database_url),
        keys=load_key(options.data / "secret-key"),
        user_token=load_token(options.data / "admin-token"),
        clock=clock,
        power=power or Redfish(),
        importer=importer or Workshop(),
        wakeups=Wakeups(),
        started_at=clock.now(),
        authority=load_authority(options.data) if options.listen_tls else None,
    )
    if options.serves:
        _forget_parts(controller)
    return controller


def _forget_parts(controller: Controller) -> None:
    """What an earlier process was killed in. Another one that only converts may be at work meanwhile."""
    images.forget_parts(controller.images)
    bundles.forget_parts(controller.bundles)
    with controller.read() as tx:
        wanted = {one.image_id for one in tx.imports.all()}
    forget_parts(controller.imports, wanted)
