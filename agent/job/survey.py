# SPDX-License-Identifier: Apache-2.0
"""What has become of this machine since it was last looked at: the service keeps an inventory, and tells of changes. It
looks once an hour, and when a disk or a NIC was plugged in or pulled.

    inventory.json             as it was when it was last told of
    inventory-last-boot.json   the one before that, of an earlier boot: what `bms-agent inventory --last` compares with

An inventory is kept once the controller has taken it: a change that it has not heard of is found again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import TypeVar

from agent.errors import AgentError, DecodeError, HostError, InputError
from agent.host.doors import Clock, Files, Host
from agent.host.identity import boot_id
from agent.host.network_doors import Watch
from agent.inventory.hardware import take_in_full
from agent.life.watch import Alive, unwatched
from agent.model.difference import Difference
from agent.model.disk import Disk
from agent.model.fact import Unknown
from agent.model.frozen import Frozen, decode
from agent.model.hardware import Hardware
from agent.model.inventory import Inventory
from agent.model.network import Nic
from agent.model.system import Cpu
from agent.plan.differences import differences
from agent.program.log import Logger

KEPT, LAST_BOOT = "inventory.json", "inventory-last-boot.json"
BEGIN_S = 30.0
"""A server that starts has better things to do."""
PERIOD_S, RETRY_S = 3600.0, 300.0
LEAST_S = 60.0
"""Between two looks: hardware that comes and goes all the time is not looked at all the time."""
HEAR_S, SETTLE_S = 5.0, 3.0
"""What is heard is asked for so often; what comes together is looked at together."""

Plain = TypeVar("Plain", Cpu, Disk, Nic)
log = Logger("survey")


class Survey:
    """Looks, compares, tells, keeps."""

    def __init__(self, host: Host, directory: str, tell: Callable[[Inventory], None]) -> None:
        """`tell` is the way to the controller; it raises `AgentError` where that is cut."""
        self._host = host
        self._directory = directory
        self._tell = tell
        self._logged: frozenset[Difference] = frozenset()

    def loop(self, clock: Clock, stop: Event, alive: Alive = unwatched) -> None:
        """Until stopped. What goes wrong here is nobody else's business."""
        try:
            with self._host.udev.watching() as hardware:
                self._rounds(stop, alive, partial(rested, clock, stop, hardware))
        except HostError as error:
            log.warning("hardware that comes and goes is seen by the hour only", error=str(error))
            self._rounds(stop, alive, partial(clock.wait, stop))

    def _rounds(self, stop: Event, alive: Alive, rest: Callable[[float], bool]) -> None:
        pause_s = BEGIN_S
        while not (stop.is_set() or rest(pause_s)):
            alive()
            pause_s = PERIOD_S
            try:
                self.round()
            except AgentError as error:
                log.warning("survey not finished", error=str(error))
                pause_s = RETRY_S
            except Exception:  # it would end the survey for as long as this process lives; in an hour it may go well
                log.exception("the survey has a fault")

    def round(self) -> tuple[Difference, ...]:
        """Once. Raises `AgentError` if it could not be told, or kept."""
        now = take_in_full(self._host)
        before = self._kept()
        found = differences(before, now) if before else ()
        self._say(found)
        if before is None or found:
            self._tell(told(now))
            self._keep(before, now)
        return found

    def _kept(self) -> Hardware | None:
        path = f"{self._directory}/{KEPT}"
        if not self._host.files.exists(path):
            return None
        try:
            return read(self._host.files, path)
        except DecodeError as error:  # of another version of this agent, or cut short
            log.warning("the last inventory cannot be read", error=str(error))
            return None

    def _keep(self, before: Hardware | None, now: Hardware) -> None:
        if before is not None and before.boot_id != now.boot_id:
            self._host.files.write(f"{self._directory}/{LAST_BOOT}", before.model_dump_json().encode(), mode=0o600)
        self._host.files.write(f"{self._directory}/{KEPT}", now.model_dump_json().encode(), mode=0o600)

    def _say(self, found: tuple[Difference, ...]) -> None:
        """Each once, however often it cannot be told."""
        for one in found:
            if one not in self._logged:
                say = log.error if one.weight == "fault" else log.warning
                say("hardware is another", code=one.code, what=str(one))
        self._logged = frozenset(found)


def rested(clock: Clock, stop: Event, hardware: Watch, pause_s: float) -> bool:
    """Until the pause is over, or hardware was plugged in or pulled; True if stopped. Raises `HostError`."""
    begun_s = clock.monotonic_s()
    while (gone_s := clock.monotonic_s() - begun_s) < pause_s:
        if gone_s >= min(LEAST_S, pause_s) and hardware.wait(0):
            return clock.wait(stop, SETTLE_S)
        if clock.wait(stop, min(HEAR_S, pause_s - gone_s)):
            return True
    return False


def told(found: Hardware) -> Inventory:
    """What the controller keeps of it: what a plan needs."""
    disks, nics = found.disks, found.nics
    return Inventory(
        system=found.system,
        cpu=found.cpu if isinstance(found.cpu, Unknown) else plain(Cpu, found.cpu),
        memory=found.memory,
        disks=disks if isinstance(disks, Unknown) else tuple(plain(Disk, one) for one in disks),
        nics=nics if isinstance(nics, Unknown) else tuple(plain(Nic, one) for one in nics),
        arrays=found.arrays,
    )


def plain(model: type[Plain], one: Frozen) -> Plain:
    """Without what only the full inventory has."""
    return model.model_construct(**{name: getattr(one, name) for name in model.model_fields})


def last(host: Host, directory: str) -> Hardware:
    """The inventory to compare with: of the last boot, or, where there is none, the newest that was kept. Raises
    `InputError` if there is none at all, `DecodeError`, `HostError`.
    """
    here = boot_id(host.files)
    for path in (f"{directory}/{KEPT}", f"{directory}/{LAST_BOOT}"):
        if host.files.exists(path) and read(host.files, path).boot_id != here:
            return read(host.files, path)
    if not host.files.exists(f"{directory}/{KEPT}"):
        raise InputError(
            "comparing with the last inventory",
            f"there is none in {directory}",
            hint="The service keeps one. By hand: bms-agent inventory --json >FILE, and later --diff FILE.",
        )
    return read(host.files, f"{directory}/{KEPT}")


def read(files: Files, path: str) -> Hardware:
    """Raises `DecodeError`, `HostError`."""
    return decode(Hardware, files.read_bytes(path), f"reading the inventory in {path}")
