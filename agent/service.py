# SPDX-License-Identifier: Apache-2.0
"""Service mode: the resident agent in the installed OS. It brings its server's network about, says that this OS is the
one that was ordered (the nonce, the root disk, the machine id), and stays.

Who it is comes from the config drive, and is kept in the state directory: a tenant may delete the drive. A drive of
another server (a cloned disk, a reinstall) replaces it, together with the ledger and journal of the earlier one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event

from agent import __version__
from agent.config import Settings
from agent.daemon import Daemon, Open, new_session, wait_for_udev
from agent.errors import AgentError, ConfigError, ControllerRefused, DecodeError, HostError
from agent.host import smbios
from agent.host.config_drive import read_config_drive
from agent.host.doors import Host
from agent.host.identity import hostname, machine_id
from agent.inventory.disk import root_disk
from agent.inventory.fact import attempt
from agent.inventory.network import nics
from agent.inventory.system import system
from agent.job.convergence import Convergence
from agent.job.ledger import Ledger, put_aside
from agent.job.network_record import NetworkRecord
from agent.job.status import StatusFile
from agent.life.sd_notify import Notifier
from agent.link.client import Client, patiently
from agent.link.key import NodeKey
from agent.link.loops import UNKNOWN_SESSION
from agent.link.relay import socket_of
from agent.link.sealed import OF_KEYS, ServiceKeys
from agent.model.frozen import Frozen, Model, Reply, Secret, decode
from agent.model.machine_identity import marks
from agent.model.network import NetworkConfig
from agent.model.protocol import Booted, BootProof, ServiceIdentity, Session
from agent.networking import Networking
from agent.program.log import Logger

DRIVE_FILE = "bms-agent/service.json"
LOOKS, LOOK_S = 12, 5.0
CLONE = "BOOT.CLONE"
NOTHING = NetworkConfig(allow_disconnect=True)
OF_AN_IDENTITY = ("ledger.json", "journal.log", "outbox.log", *OF_KEYS)

log = Logger("service")


class Whose(Reply):
    """Of an identity, what makes it this one and no other: the rest may be told anew, by any release of this agent."""

    node_id: str
    server_id: str
    credential: Secret


def run(host: Host, settings: Settings, stop: Event, notifier: Notifier) -> bool:
    """Until stopped. Whether this machine is a server of ours: on another one (somebody else's controller has deployed
    its image) there is nothing to do in this boot, and its network is somebody else's.
    """
    try:
        identity = identify(host, settings)
    except ConfigError as nobodys:
        log.warning("whose server?", error=str(nobodys))
        found = looked_for(host, settings, stop, notifier)
        if found is None:
            return stop.is_set()
        identity = found
    url = settings.controller or identity.controller_url
    convergence = begin_network(host, settings, identity, url)
    session = new_session(host, "service", __version__)
    notifier.ready(f"network set, reporting to {url}")  # now: the tenant's boot must not wait for a controller
    keys, status = ServiceKeys(host, str(settings.state_dir)), status_file(host, settings, url)
    with notifier.kept_alive() as alive:
        key = keys.open(stop, alive, lambda fault: status.tell("unsealing its key", faults=(fault,)))
    say(host, settings, url, key)
    ca = settings.ca if settings.controller else identity.ca
    socket = socket_of(host.files, str(settings.link_socket))
    either = Either(keys, lambda key: Client(url, identity.credential, key, session.session_id, ca, socket))
    prove(host, identity, session, either, key, convergence, stop, notifier)
    opened = Open(session, url, identity.node_id, identity.credential, either.key or key, ca, socket)
    Daemon(host, settings, opened, convergence).run(stop, notifier)
    return True


class Either:
    """A client that calls by each key that this node may be known by, until one is known."""

    def __init__(self, keys: ServiceKeys, client_of: Callable[[NodeKey], Client]) -> None:
        self._keys = keys
        self._client_of = client_of
        self._clients: dict[str, Client] = {}
        self.key: NodeKey | None = None
        """That which is known."""

    def post(self, path: str, message: Frozen, answer: type[Model]) -> Model:
        """Raises as the last client does; `HostError`."""
        refused: ControllerRefused | None = None
        for key in self._keys.all():
            client = self._clients.get(key.public) or self._client_of(key)
            self._clients[key.public] = client
            try:
                answered = client.post(path, message, answer)
            except ControllerRefused as error:
                if error.refusal not in UNKNOWN_SESSION:
                    raise
                refused = error
                continue
            self.key = key
            self._keys.take(key)
            return answered
        raise refused or HostError("returning the boot nonce", "this node has no key")


def status_file(host: Host, settings: Settings, url: str, key: NodeKey | None = None) -> StatusFile:
    """How we are, for the screen."""
    return StatusFile(host, str(settings.runtime_dir), "embedded", url, key.fingerprint if key else None)


def say(host: Host, settings: Settings, url: str, key: NodeKey) -> None:
    """What is wrong with the key, before anything is signed with it: until an operator has bound a new one, a machine
    whose key is lost does no more than this."""
    if key.fault is not None:
        status = status_file(host, settings, url, key)
        status.tell("proving its boot", faults=(key.fault,))


def looked_for(host: Host, settings: Settings, stop: Event, notifier: Notifier) -> ServiceIdentity | None:
    """Whose server this is, if a drive that says so turns up late. Nobody's boot waits for that."""
    notifier.ready("nobody's server, as it seems: there is no config drive of a controller of ours")
    for _ in range(LOOKS):
        notifier.watchdog()
        if host.clock.wait(stop, LOOK_S):
            return None
        with suppress(ConfigError):
            return identify(host, settings)
    log.info("nobody's server: no config drive of a controller of ours has turned up")
    return None


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
    if whose(kept) != whose(body):
        for name in OF_AN_IDENTITY:
            host.files.remove(f"{settings.state_dir}/{name}")
    if body != kept:
        host.files.write(path, body, mode=0o600)
    return identity


def whose(text: bytes | None) -> Whose | None:
    """Of the identity in this text, be it of an earlier release or a later one; None if it is none."""
    try:
        return decode(Whose, text, "reading this server's identity") if text is not None else None
    except DecodeError:
        return None


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
    anything else; then the newest known is brought about, which is what the ledger holds. Where that cannot be read,
    what held goes on holding.
    """
    convergence = Convergence(host, Networking(host, url, resident=True), str(settings.state_dir))
    convergence.recover()
    state_dir = str(settings.state_dir)
    otherwise = identity.network
    if put_aside(host.files, state_dir):
        otherwise = NetworkRecord(host.files, state_dir).held().config
    held = Ledger(host.files, state_dir, identity.node_id).held
    network = held.network if held and held.network is not None else otherwise
    convergence.want(held.generation if held else 0, network)
    convergence.round()
    return convergence


def prove(
    host: Host,
    identity: ServiceIdentity,
    session: Session,
    client: Client | Either,
    key: NodeKey,
    convergence: Convergence,
    stop: Event,
    notifier: Notifier,
) -> None:
    """Return the nonce until it is taken, bringing the network about again before each try."""
    hardware, wanted = hardware_of(host), convergence.wanted
    log.info("proving the boot", node=identity.node_id, key=key.fingerprint)  # for whoever compares it, if it is new

    def call() -> Booted:
        if convergence.fault is not None:
            convergence.round()
        try:
            return client.post("/v1/agent/boot", proof(host, identity, session, hardware), Booted)
        except ControllerRefused as error:
            if error.refusal == CLONE:
                leave(convergence)
            raise

    with notifier.kept_alive() as alive:
        booted = patiently(call, host.clock, stop, "returning the boot nonce", alive=alive)
    convergence.want(*wanted)  # an operator may have said that this is no copy
    log.info("boot proven", server=booted.server_id)


def leave(convergence: Convergence) -> None:
    """This is a copy of a server's disk, in another machine: whatever addresses and files the server's network has put
    here go, and are not brought about again."""
    generation, network = convergence.wanted
    if network != NOTHING:
        log.error("this is a copy of another server's disk: its network is taken down")
        convergence.want(generation, NOTHING)
    convergence.round()


def hardware_of(host: Host) -> tuple[str, ...]:
    """By which the controller tells this machine from one that a copy of its disk was put into."""
    tables = attempt(lambda: smbios.read(host.files))
    return marks(attempt(lambda: system(host, tables)), attempt(lambda: nics(host)))


def proof(host: Host, identity: ServiceIdentity, session: Session, hardware: tuple[str, ...]) -> BootProof:
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
        hardware=hardware,
    )
