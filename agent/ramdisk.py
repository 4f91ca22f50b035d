# SPDX-License-Identifier: Apache-2.0
"""Ramdisk mode: a machine that booted over the network is taken in, and does what the controller wants of it.

The kernel command line says where the controller is, with this boot's one-time token. State lives in /run and dies
with the boot: after a power cut the controller, not the ramdisk, knows what was going on.
"""

from __future__ import annotations

from threading import Event

from agent import __version__
from agent.config import Settings
from agent.daemon import Daemon, Open, new_session, wait_for_udev
from agent.errors import ConfigError, HostError
from agent.host.doors import Host
from agent.inventory import take
from agent.job.status import StatusFile
from agent.life.sd_notify import Notifier
from agent.link.bundles import SESSION
from agent.link.client import Client, patiently
from agent.link.key import node_key
from agent.link.relay import socket_of
from agent.model.protocol import Admission, Enroll, Enrolled, Session
from agent.program.log import Logger

log = Logger("ramdisk")


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
    session = new_session(host, "ramdisk", __version__)
    key = node_key(host.files, str(settings.runtime_dir))
    socket = socket_of(host.files, str(settings.link_socket))
    client = Client(url, key=key, session_id=session.session_id, ca=settings.ca, socket=socket)
    status = StatusFile(host, str(settings.runtime_dir), "embedded", url, key.fingerprint)

    def call() -> Enrolled:
        with status.trying("enrolling"):
            return client.post("/v1/agent/enroll", enrolment(host, settings, session), Enrolled)

    with notifier.kept_alive() as alive:
        enrolled = patiently(call, host.clock, stop, "enrolling", alive=alive)
    log.info("enrolled", node=enrolled.node_id, controller=url, fingerprint=key.fingerprint)
    keep(
        host,
        settings,
        Admission(controller_url=url, node_id=enrolled.node_id, credential=enrolled.credential, ca=settings.ca),
    )
    return Open(
        session=session,
        url=url,
        node_id=enrolled.node_id,
        credential=enrolled.credential,
        key=key,
        ca=settings.ca,
        socket=socket,
    )


def keep(host: Host, settings: Settings, admission: Admission) -> None:
    """For commands that root types at this machine; in memory, and gone with it. Nothing else needs it."""
    try:
        host.files.write(f"{settings.runtime_dir}/{SESSION}", admission.model_dump_json().encode(), mode=0o600)
    except HostError as error:
        log.warning("a bundle of logs cannot be sent by hand", error=str(error))
