# SPDX-License-Identifier: Apache-2.0
"""Service mode: the resident agent in the installed OS. It brings its server's network about, says that this OS is the
one that was ordered (the nonce, the root disk, the machine id), and stays.

Who it is comes from the config drive, and is kept in the state directory: a tenant may delete the drive. A drive of
another server (a cloned disk, a reinstall) replaces it, together with the ledger and journal of the earlier one.
"""

from __future__ import annotations

from threading import Event

import structlog

from agent import __version__
from agent.config import Settings
from agent.daemon import Daemon, Open, new_session, wait_for_udev
from agent.errors import AgentError, ConfigError, HostError
from agent.host.config_drive import read_config_drive
from agent.host.doors import Host
from agent.host.identity import hostname, machine_id
from agent.host.sd_notify import Notifier
from agent.inventory.disk import root_disk
from agent.job.convergence import Convergence
from agent.job.ledger import Ledger
from agent.link.client import Client, patiently
from agent.model.frozen import decode
from agent.model.protocol import Booted, BootProof, ServiceIdentity, Session
from agent.networking import Networking

DRIVE_FILE = "bms-agent/service.json"
OF_AN_IDENTITY = ("ledger.json", "journal.log", "outbox.log")

log = structlog.get_logger("service")


def run(host: Host, settings: Settings, stop: Event, notifier: Notifier) -> None:
    """Until stopped. Raises `ConfigError` on a machine that is nobody's server."""
    identity = identify(host, settings)
    url = settings.controller or identity.controller_url
    convergence = begin_network(host, settings, identity, url)
    session = new_session(host, "service", __version__)
    notifier.ready(f"network set, reporting to {url}")  # now: the tenant's boot must not wait for a controller
    prove(host, identity, session, url, convergence, stop, notifier)
    opened = Open(session=session, url=url, node_id=identity.node_id, credential=identity.credential)
    Daemon(host, settings, opened, convergence).run(stop, notifier)


def identify(host: Host, settings: Settings) -> ServiceIdentity:
    """Who this server is. Raises `ConfigError` if neither drive nor state directory knows."""
    path = f"{settings.state_dir}/identity.json"
    kept = host.files.read_bytes(path) if host.files.exists(path) else None
    wait_for_udev(host)
    text = drive_text(host, is_needed=kept is None)
    if text is None and kept is None:
        raise ConfigError(
            "finding out whose server this is",
            "there is no config drive and no earlier identity",
            hint="This agent serves machines that its controller has deployed.",
        )
    identity = decode(ServiceIdentity, text if text is not None else kept or b"", "reading this server's identity")
    body = identity.model_dump_json().encode()
    if body != kept:
        for name in OF_AN_IDENTITY:
            host.files.remove(f"{settings.state_dir}/{name}")
        host.files.write(path, body, mode=0o600)
    return identity


def drive_text(host: Host, *, is_needed: bool) -> bytes | None:
    """What the config drive says. A tenant may have it in use (the kernel then refuses a second mount), or may have
    plugged in another: raises `HostError` for that only where nothing else tells who this is.
    """
    try:
        return read_config_drive(host, DRIVE_FILE)
    except HostError as error:
        if is_needed:
            raise
        log.warning("config drive not read", error=str(error))
        return None


def begin_network(host: Host, settings: Settings, identity: ServiceIdentity, url: str) -> Convergence:
    """The network comes first: the controller is on its other side. A change that was cut short is taken back before
    anything else; then the newest known is brought about, which is what the ledger holds.
    """
    convergence = Convergence(host, Networking(host, url, resident=True), str(settings.state_dir))
    convergence.recover()
    held = Ledger(host.files, str(settings.state_dir), identity.node_id).held
    network = held.network if held and held.network is not None else identity.network
    convergence.want(held.generation if held else 0, network)
    convergence.round()
    return convergence


def prove(
    host: Host,
    identity: ServiceIdentity,
    session: Session,
    url: str,
    convergence: Convergence,
    stop: Event,
    notifier: Notifier,
) -> None:
    """Return the nonce until it is taken, bringing the network about again before each try."""
    client = Client(url, identity.credential)

    def call() -> Booted:
        if convergence.fault is not None:
            convergence.round()
        return client.post("/v1/agent/boot", proof(host, identity, session), Booted)

    with notifier.kept_alive():
        booted = patiently(call, host.clock, stop, "returning the boot nonce")
    log.info("boot proven", server=booted.server_id)


def proof(host: Host, identity: ServiceIdentity, session: Session) -> BootProof:
    """What only the OS that was written here can say. A root disk that cannot be found out is left out, and told."""
    try:
        disk = root_disk(host)
    except AgentError as error:
        log.warning("root disk not found out", error=str(error))
        disk = None
    return BootProof(
        session=session,
        nonce=identity.nonce,
        machine_id=machine_id(host.files),
        hostname=hostname(host.files),
        root_disk_wwn=disk.wwn if disk else None,
        root_disk_serial=disk.serial if disk else None,
    )
