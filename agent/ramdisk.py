# SPDX-License-Identifier: Apache-2.0
"""Ramdisk mode: a machine that booted over the network is taken in, and does what the controller wants of it.

The kernel command line says where the controller is, with this boot's one-time token. State lives in /run and dies
with the boot: after a power cut the controller, not the ramdisk, knows what was going on.
"""

from __future__ import annotations

from threading import Event

import structlog

from agent import __version__
from agent.config import Settings
from agent.daemon import Daemon, Open, new_session, wait_for_udev
from agent.errors import ConfigError
from agent.host.doors import Host
from agent.host.sd_notify import Notifier
from agent.inventory import take
from agent.job.status import StatusFile
from agent.link.client import Client, patiently
from agent.model.protocol import Enroll, Enrolled, Session

log = structlog.get_logger("ramdisk")


def run(host: Host, settings: Settings, stop: Event, notifier: Notifier) -> None:
    """Until stopped, or until the machine reboots. Raises `ConfigError` without a controller."""
    settings = settings.model_copy(update={"state_dir": settings.runtime_dir})
    notifier.status("waiting for the hardware")
    wait_for_udev(host)
    notifier.status(f"enrolling with {settings.controller}")
    opened = enrol(host, settings, stop, notifier)
    Daemon(host, settings, opened, convergence=None).run(stop, notifier)


def enrolment(host: Host, settings: Settings, session: Session) -> Enroll:
    """What this machine says of itself."""
    return Enroll(session=session, token=settings.token, boot_mac=settings.boot_mac, inventory=take(host))


def enrol(host: Host, settings: Settings, stop: Event, notifier: Notifier) -> Open:
    """Ask until taken in. The same session again changes nothing, so a lost answer does no harm. The hardware is read
    anew each time: some drivers take minutes, and without the NIC that the token is for nobody is taken in.
    """
    if settings.controller is None:
        raise ConfigError("enrolling", "no controller is named", hint="Boot with bms.controller=URL.")
    url = settings.controller
    client = Client(url)
    session = new_session(host, "ramdisk", __version__)

    status = StatusFile(host, str(settings.runtime_dir), "embedded", url)

    def call() -> Enrolled:
        with status.trying("enrolling"):
            return client.post("/v1/agent/enroll", enrolment(host, settings, session), Enrolled)

    with notifier.kept_alive():
        enrolled = patiently(call, host.clock, stop, "enrolling")
    log.info("enrolled", node=enrolled.node_id, controller=url)
    return Open(session=session, url=url, node_id=enrolled.node_id, credential=enrolled.credential)
