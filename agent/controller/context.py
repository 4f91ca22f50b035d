# SPDX-License-Identifier: Apache-2.0
"""A running controller: what every flow is given first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from agent.controller.bmc import PowerDriver, Redfish
from agent.controller.clock import Clock, SystemClock
from agent.controller.images import forget_parts
from agent.controller.keys import Keys, load_key, load_token
from agent.controller.options import Options
from agent.controller.store.database import Store, Transaction, open_store
from agent.controller.wakeups import Wakeups


@dataclass(frozen=True)
class Controller:
    """Options, store, keys, and the doors to the outside: the clock and the machines' BMCs."""

    options: Options
    store: Store
    keys: Keys
    user_token: str = field(repr=False)
    clock: Clock
    power: PowerDriver
    wakeups: Wakeups
    started_at: datetime

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A view of the records."""
        with self.store.read() as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A change of the records; once it is kept, the long polls of the nodes concerned are woken."""
        with self.store.write() as tx:
            yield tx
        for node_id in tx.changed:
            self.wakeups.wake(node_id)

    @property
    def images(self) -> Path:
        """Where uploaded images are."""
        return self.options.data / "images"


def open_controller(options: Options, clock: Clock | None = None, power: PowerDriver | None = None) -> Controller:
    """Make or open everything below the data directory. Raises `ConfigError`."""
    options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    images = options.data / "images"
    images.mkdir(mode=0o700, exist_ok=True)
    forget_parts(images)
    clock = clock or SystemClock()
    return Controller(
        options=options,
        store=open_store(options.database_url),
        keys=load_key(options.data / "secret-key"),
        user_token=load_token(options.data / "admin-token"),
        clock=clock,
        power=power or Redfish(),
        wakeups=Wakeups(),
        started_at=clock.now(),
    )
