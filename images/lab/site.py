# SPDX-License-Identifier: Apache-2.0
"""One whole lab: a folder that holds everything it is made of, and the order in which it comes up and goes away.

It is always cleaned up: at the end of the `with` block, on SIGINT, SIGTERM and SIGHUP, and, if its process was
killed, by the next lab that is made, which finds the folder and an owner that lives no more. `keep` leaves it
running on purpose.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Generic, Protocol, TypeVar

import psutil

from lab.bmc import PORT
from lab.controller import Controller
from lab.daemon import Daemon
from lab.machine import Machine, MachineSpec
from lab.network import CONTROLLER_ADDRESS, Network, dnsmasq_argv
from lab.redfish import system_path

CACHE = Path(os.environ.get("BMS_AGENT_CACHE", Path.home() / ".cache" / "bms-agent"))
LABS = CACHE / "lab"
OWNER = "owner.json"
KEPT = "kept"
LOGS_KEPT = 5
START_TOLERANCE_S = 2.0


class Engine(Protocol):
    """What a lab needs of its controller, whichever it is. It is started and asked from inside the namespace."""

    log: Path

    @property
    def boot_script(self) -> str: ...  # what iPXE is led to
    def start(self) -> None: ...
    def stop(self) -> None: ...


E = TypeVar("E", bound=Engine)


class Site(Generic[E]):
    """The lab of one folder, which gives the namespace its name."""

    def __init__(self, folder: Path, machine: Machine, controller: E) -> None:
        self.folder = folder
        self.network = Network(folder.name)
        self.machine = machine
        self.bmc_password_file = folder / "bmc-password"
        self.bmc_address = f"http://{CONTROLLER_ADDRESS}:{PORT}{system_path(machine.spec)}"
        self.controller = controller
        self._dnsmasq = Daemon(dnsmasq_argv(controller.boot_script), folder / "dnsmasq.log")
        self._bmc = Daemon(
            [sys.executable, "-m", "lab.bmc", str(machine.folder), str(self.bmc_password_file)],
            folder / "bmc.log",
            {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        self._inside = ExitStack()
        self._before = {signal.SIGINT: signal.getsignal(signal.SIGINT)}
        self._kept = False

    @staticmethod
    def create(spec: MachineSpec, ramdisk: Path) -> Site[Controller]:
        """A new lab with the embedded controller, not yet running."""
        return Site.with_engine(
            spec, lambda folder: Controller(folder / "controller", ramdisk, folder / "controller.log")
        )

    @classmethod
    def with_engine(cls, spec: MachineSpec, engine: Callable[[Path], E]) -> Site[E]:
        """The same with the controller that is made for its folder. What dead labs left behind goes first."""
        sweep()
        folder = LABS / f"bms-lab-{secrets.token_hex(3)}"
        folder.mkdir(parents=True)
        own(folder)
        (folder / "bmc-password").write_text(secrets.token_urlsafe(12))
        return cls(folder, Machine.create(folder / "machine", spec), engine(folder))

    def __enter__(self) -> Site[E]:
        """Bring up the network and everything on it but the machine, and enter the namespace."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, _leave)
        try:
            self.network.create()
            self.network.add_tap(self.machine.spec.tap)
            self._inside.enter_context(self.network.entered())
            self._dnsmasq.start()
            self._bmc.start()
            self.controller.start()
        except BaseException:
            self.close(keep_logs=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept:
            self._inside.close()
        else:
            self.close(keep_logs=kind is not None)

    def keep(self) -> None:
        """Let it run on after this process has ended; `tear_down` ends it."""
        (self.folder / OWNER).unlink()
        (self.folder / KEPT).touch()
        self._kept = True

    def close(self, *, keep_logs: bool) -> None:
        """End everything. No second Ctrl-C gets in between."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)
        try:
            self._inside.close()
            for part in (self.controller, self._bmc, self._dnsmasq):
                part.stop()
            remove(self.folder, keep_logs=keep_logs)
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)


def own(folder: Path) -> None:
    """This process has the lab. Whoever sweeps finds that in whole, or not yet."""
    owner = folder / OWNER
    partial = owner.with_suffix(".partial")
    partial.write_text(json.dumps({"pid": os.getpid(), "started": psutil.Process().create_time()}))
    partial.replace(owner)


def remove(folder: Path, *, keep_logs: bool = False) -> None:
    """Remove a lab by its folder alone, whoever made it."""
    Network(folder.name).remove()
    if not keep_logs:
        shutil.rmtree(folder)
        return
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.suffix != ".log":
            path.unlink()


def sweep(labs: Path = LABS) -> None:
    """Remove the labs whose process is gone, and the logs of old failures."""
    for owner in labs.glob(f"*/{OWNER}"):
        with suppress(FileNotFoundError):  # another process sweeps, or ends its own
            if not _lives(json.loads(owner.read_text())):
                remove(owner.parent)
    failed = [folder for folder in labs.glob("*") if not (folder / OWNER).exists() and not (folder / KEPT).exists()]
    for folder in sorted(failed, key=lambda path: path.stat().st_mtime)[:-LOGS_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)


def tear_down(labs: Path = LABS) -> int:
    """Remove the labs that were kept; how many they were."""
    kept = [mark.parent for mark in labs.glob(f"*/{KEPT}")]
    for folder in kept:
        remove(folder)
    return len(kept)


def _lives(owner: dict[str, float]) -> bool:
    """A process is its number and its start: numbers come round again. (The start moves a little with the clock.)"""
    try:
        return abs(psutil.Process(int(owner["pid"])).create_time() - owner["started"]) < START_TOLERANCE_S
    except psutil.NoSuchProcess:
        return False


def _leave(number: int, frame: FrameType | None) -> None:
    """Such a signal ends the process as an exception does, so that the lab is cleaned up."""
    sys.exit(128 + number)
