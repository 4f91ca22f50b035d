# SPDX-License-Identifier: Apache-2.0
"""Ramdisk mode under OpenStack Ironic, in place of its own agent: the kernel command line says so (`ipa-api-url`).

    inspect, post ──► look up ──► serve the API ◄── commands of the conductor
                                     └──► heartbeat: at once when something ended, else now and then

Everything that Ironic knows us by is in /run (`api.ironic.record`): the process may be killed and started again within
a step. Ironic's own agent forgets, and its conductor then takes the step for done.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Event

from agent import __version__
from agent.api.ironic.certificate import certificate
from agent.api.ironic.commands import Commands
from agent.api.ironic.desk import Desk
from agent.api.ironic.place import everywhere, listening
from agent.api.ironic.record import Identity, Record
from agent.api.ironic.relay import Serves, front_of, served
from agent.api.ironic.table import table
from agent.api.ironic.together import Together
from agent.api.ironic.work import Site, Work
from agent.apply.writer.relay import socket_of
from agent.config import Settings
from agent.daemon import STEP_S, TURN_S, wait_for_udev
from agent.errors import AgentError, ControllerRefused, LinkError
from agent.host.doors import Host
from agent.host.identity import boot_id
from agent.host.rescue import open_rescue
from agent.inventory.logs import bundle
from agent.inventory.network import nics
from agent.job.status import StatusFile
from agent.life.lives import Folder, lives_in
from agent.life.loops import Loop, Loops
from agent.life.sd_notify import Notifier
from agent.life.watch import Alive, unwatched
from agent.link import relay
from agent.link.client import patiently
from agent.link.ironic.address import own_address
from agent.link.ironic.client import Ironic
from agent.link.ironic.collectors import posted
from agent.link.ironic.prepare import client, forget, prepared, wait_for_disks
from agent.model.fault import Fault
from agent.model.ironic.asked import Serving
from agent.model.ironic.parameters import Parameters
from agent.model.ironic.wire import MASKED, Beat, Lookup
from agent.model.job import Progress
from agent.model.url import named
from agent.program.log import Logger

INSPECTION_TRIES = 5
TICK_S = 1.0
PREPARED_S = 4 * 3600.0
"""Whatever a machine was told to wait for at boot, each with a time of its own, or one try to reach Ironic."""
SOCKET = "ironic"
"""What systemd holds of ours, under that name: where Ironic calls."""
LONGEST_PAUSE_S = 20.0
"""Before the next process begins. In the meantime systemd holds our socket: a call of Ironic's waits there, and is lost
after its `[agent]command_timeout` of 60 s, for which a thread of the conductor's is busy.
"""
RETRY_S = 5.0
"""After a heartbeat that was lost, a 409 too; times 1 to 2 (ironic_python_agent/agent.py, `do_heartbeat`)."""
MOST_DOUBLED = 8
AGAIN_S = (5.0, 10.0, 20.0)
"""After something ended: Ironic drops a heartbeat, and says nothing, while the node is locked
(ironic/conductor/manager.py, `heartbeat`)."""
BUSY_S, LEAVE_S = 20.0, 1.0
LOGS_BYTES = 11 << 20  # 15 MiB in base64

log = Logger("ironic")


def begin(host: Host, settings: Settings, cmdline: str, stop: Event, notifier: Notifier) -> None:
    """As the kernel command line, and whatever it leads to, say. Once the machine was locked down, or is its owner's,
    nothing of that is done again, least of all its network. Raises as `run` does.
    """
    directory = f"{settings.runtime_dir}/ironic"
    held = Record(host.files, directory, boot_id(host.files)).held
    if held is not None and held.is_over:
        rest(host, stop, notifier)
        return
    notifier.status("doing what Ironic told this machine at boot")
    with notifier.kept_alive(PREPARED_S):
        host, parameters = prepared(host, cmdline, directory, stop, is_first=held is None)
    run(host, settings, parameters, stop, notifier)


def run(host: Host, settings: Settings, parameters: Parameters, stop: Event, notifier: Notifier) -> None:
    """Until stopped, or until the machine reboots. Raises `AgentError` where starting again may help."""
    directory = f"{settings.runtime_dir}/ironic"
    record = Record(host.files, directory, boot_id(host.files))
    relay.woken(link := relay.socket_of(host.files, str(settings.link_socket)))
    notifier.status("waiting for the hardware")
    wait_for_udev(host)
    if record.held is None:
        with notifier.kept_alive(PREPARED_S) as alive:
            wait_for_disks(host, parameters, stop)
            status = status_file(host, settings, parameters)
            calling = client(host, parameters, directory, link)
            found = introduced(host, parameters, calling, stop, status, alive)
        if found is not None:
            record.open(identity_of(parameters, found), found.lookup.node)
    if record.held is not None and not record.held.is_over:
        Conducted(host, settings, parameters, record, directory, link).run(record.held.identity, stop, notifier)
    rest(host, stop, notifier)


def rest(host: Host, stop: Event, notifier: Notifier) -> None:
    """Until stopped. Nobody is called back any more."""
    notifier.let_go(SOCKET)
    notifier.ready("nothing more to do in this boot")
    while not host.clock.wait(stop, TICK_S):
        notifier.watchdog()


@dataclass(frozen=True)
class Introduced:
    """What Ironic said, and what it will call us by. The latter comes first: a token is given once, and is lost if
    anything fails between it and the record.
    """

    address: str
    certificate_pem: str
    key_pem: str
    lookup: Lookup


def introduced(
    host: Host,
    parameters: Parameters,
    ironic: Ironic,
    stop: Event,
    status: StatusFile | None = None,
    alive: Alive = unwatched,
) -> Introduced | None:
    """Inspected, if that is wanted, and looked up; None if only the inspection was wanted. Raises `LinkError`."""
    node_uuid = inspected(host, parameters, ironic, stop, alive) if parameters.inspects else None
    if not parameters.api_urls:
        return None

    def look_up() -> Introduced:
        with status.trying("looking this machine up in Ironic") if status else nullcontext():
            address = parameters.advertise_host or own_address(host, parameters, stop)
            pair = certificate(address, parameters.tls_curve)
            macs = [nic.mac for nic in nics(host)]
            return Introduced(address, *pair, ironic.lookup(macs, node_uuid))

    found = patiently(
        look_up,
        host.clock,
        stop,
        "looking this machine up in Ironic",
        within_s=parameters.lookup_timeout_s,
        first_pause_s=parameters.lookup_interval_s,
        alive=alive,
    )
    log.info("looked up", node=found.lookup.node.uuid)
    return found


def inspected(host: Host, parameters: Parameters, ironic: Ironic, stop: Event, alive: Alive = unwatched) -> str | None:
    """The node's UUID; None where Ironic would not have it, which the lookup may still mend. Raises `LinkError` where
    there will be none.
    """
    document = posted(host, parameters, stop=stop)
    tries = INSPECTION_TRIES if parameters.api_urls else None

    def post() -> str:
        return ironic.inspected(document)

    try:
        uuid = patiently(post, host.clock, stop, "posting the inspection", tries, alive=alive)
    except AgentError as error:
        if not parameters.api_urls:
            raise
        log.error("inspection not taken", error=str(error))
        return None
    log.info("inspected", node=uuid)
    return uuid


def identity_of(parameters: Parameters, found: Introduced) -> Identity:
    """Who we are from now on. Raises `ControllerRefused` without a token."""
    config = found.lookup.config
    given = config.agent_token
    token = parameters.agent_token if given is None or given.get_secret_value() == MASKED else given
    if token is None:
        raise ControllerRefused(
            "looking this machine up in Ironic",
            "it has given this boot's token to somebody else",
            hint="Ironic hands a token out once a boot: let it power this machine off and on.",
        )
    return Identity.model_validate(
        {
            "node_uuid": found.lookup.node.uuid,
            "token": token,
            "callback_url": callback_url(found.address, parameters.advertise_port or parameters.listen_port),
            "certificate_pem": found.certificate_pem,
            "key_pem": found.key_pem,
            "heartbeat_timeout_s": config.heartbeat_timeout,
            "tls_min_version": config.tls_min_version or parameters.tls_min_version,
            "tls_ciphers": config.tls_cipher_suites or parameters.tls_ciphers,
        }
    )


def callback_url(address: str, port: int) -> str:
    """Where Ironic calls."""
    return f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"


def status_file(host: Host, settings: Settings, parameters: Parameters) -> StatusFile:
    """How we are, for the screen."""
    return StatusFile(host, str(settings.runtime_dir), "ironic", ", ".join(map(named, parameters.api_urls)))


class Conducted:
    """What runs while Ironic conducts."""

    def __init__(
        self,
        host: Host,
        settings: Settings,
        parameters: Parameters,
        record: Record,
        directory: str,
        link: str | None = None,
    ) -> None:
        self._host = host
        self._settings = settings
        self._parameters = parameters
        self._record = record
        self._directory = directory
        self._link = link
        self._beside = relay.Beside()
        self._news = Event()
        self._over = Event()
        self._is_isolated = False
        self._status = status_file(host, settings, parameters)
        self._lost: Fault | None = None
        self._server: Serves | None = None
        self._before = lives_in(Folder(host.files, str(settings.runtime_dir)))

    def run(self, identity: Identity, stop: Event, notifier: Notifier) -> None:
        """Until stopped, or Ironic has no more use for us. Raises what killed a thread."""
        died: list[BaseException] = []
        work = self._work(identity)
        commands = Commands(table(work), self._record, self._news, died.append)
        address = (self._parameters.listen_host or everywhere(self._host.files), self._parameters.listen_port)
        place = listening(address, notifier.taken(SOCKET))
        notifier.hold(SOCKET, place)
        self._server = server = self._served(identity, commands, place)
        ending = Event()
        watched = (
            Loop("api", server.serve, TURN_S),
            Loop("beat", lambda alive: self._beat(identity, lambda: work.progress, ending, alive), silence_s(identity)),
        )
        loops = Loops(self._host.clock, ending, watched, died)
        commands.resume()
        loops.start()
        notifier.ready(f"Ironic's node {identity.node_uuid}, called at {identity.callback_url}")
        while not (self._host.clock.wait(stop, TICK_S) or loops.fault() or self._over.is_set()):
            commands.watched(loops.watch, work.progress, STEP_S)
            notifier.watchdog()
            self._say(identity, work.progress)
        self._host.clock.wait(stop, LEAVE_S)
        ending.set()
        self._news.set()
        server.shutdown()
        if self._over.is_set():
            notifier.let_go(SOCKET, place)
        place.close()
        loops.check()
        if self._is_isolated:
            isolate(self._host)

    def _work(self, identity: Identity) -> Work:
        def over(isolated: bool) -> None:
            self._is_isolated = isolated
            self._record.end()
            forget(self._host, self._directory)
            self._over.set()

        site = Site(
            host=self._host,
            record=self._record,
            logs=Together(lambda: bundle(self._host, LOGS_BYTES)),
            rescue=lambda password_hash: open_rescue(self._host, password_hash),
            over=over,
            needs_no_boot_entry=self._parameters.needs_no_boot_entry,
            inject_priority=self._parameters.inject_priority,
            guards_shared=self._parameters.guards_shared,
            image_login=self._parameters.image_login,
            disk_attempts=self._parameters.disk_attempts,
            disk_pause_s=self._parameters.disk_pause_s,
            writer=socket_of(self._host.files, str(self._settings.writer_socket)),
        )
        return Work(site, self._directory, boot_id(self._host.files), self._settings.images)

    def _served(self, identity: Identity, commands: Commands, listening: socket.socket) -> Serves:
        began_s = self._host.clock.monotonic_s()
        desk = Desk(commands, identity.token.get_secret_value(), lambda: self._host.clock.monotonic_s() - began_s)
        serving = Serving.model_validate(
            {
                "pem": identity.certificate_pem + identity.key_pem.get_secret_value(),
                "tls_min_version": identity.tls_min_version,
                "tls_ciphers": identity.tls_ciphers,
            }
        )
        path = front_of(self._host.files, str(self._settings.api_socket))
        return served(path, serving, listening, desk)

    def _say(self, identity: Identity, progress: Progress | None) -> None:
        """For the screen: how far, whether Ironic hears us, and what became of the last command if that failed."""
        crashed = self._before.fault(self._host.clock.monotonic_s())
        unserved = self._server.fault if self._server else None
        faults = tuple(fault for fault in (crashed, self._lost, unserved, self._beside.fault) if fault is not None)
        held = self._record.held
        last = held.commands[-1] if held is not None and held.commands else None
        if last is not None and (error := last.command_error) is not None:
            faults += (Fault(code=error.type, message=f"{last.command_name}: {error.message}", details=error.details),)
        self._status.tell("conducted by Ironic", node_id=identity.node_uuid, progress=progress, faults=faults)

    def _beat(self, identity: Identity, progress: Callable[[], Progress | None], ending: Event, alive: Alive) -> None:
        """A client of its own: it belongs to one thread."""
        ironic = client(self._host, self._parameters, self._directory, self._link, self._beside)
        again, refusals = list(AGAIN_S), 0
        while not ending.is_set():
            alive()
            self._news.clear()
            now = progress()
            try:
                ironic.heartbeat(identity.node_uuid, beat_of(identity, now))
                pause_s = BUSY_S if now else (again.pop(0) if again else regular_s(identity))
                self._lost = None
                refusals = 0
            except LinkError as error:
                self._lost = Fault.of(error)
                log.warning("heartbeat lost", error=str(error))
                refusals = refusals + 1 if isinstance(error, ControllerRefused) else 0
                pause_s = again_s(identity, refusals)
            if self._news.wait(pause_s):
                again = list(AGAIN_S)


def beat_of(identity: Identity, progress: Progress | None) -> Beat:
    """Alive; and how far, while something is under way."""
    return Beat(
        callback_url=identity.callback_url,
        agent_token=identity.token,
        agent_version=f"bms-agent {__version__}",
        agent_verify_ca=identity.certificate_pem,
        agent_status_message=message(progress) if progress else "idle",
    )


def message(progress: Progress) -> str:
    """One line: `write_image: 1234 of 5000 MB, limited by the disk, 510 MB/s`."""
    total = f" of {progress.total_bytes // 10**6}" if progress.total_bytes else ""
    limit = f", limited by {progress.limited_by}" if progress.limited_by else ""
    return f"{progress.step}: {progress.done_bytes // 10**6}{total} MB{limit}"


def regular_s(identity: Identity) -> float:
    """As IPA does, so that a thousand machines do not call together."""
    return identity.heartbeat_timeout_s * random.uniform(0.3, 0.6)  # noqa: S311


def again_s(identity: Identity, refusals: int) -> float:
    """After what was lost as soon as IPA does; after one refusal upon another ever later, up to the regular pause: what
    Ironic refuses (400, 401, 404), it will refuse in five seconds, too.
    """
    soon_s = RETRY_S * random.uniform(1.0, 2.0)  # noqa: S311
    return (
        min(soon_s * 2 ** max(refusals - 1, 0), regular_s(identity)) if refusals < MOST_DOUBLED else regular_s(identity)
    )


def silence_s(identity: Identity) -> float:
    """No pause between two heartbeats is as long, with the heartbeat itself."""
    return identity.heartbeat_timeout_s + TURN_S


def isolate(host: Host) -> None:
    """Nobody reaches this machine: Ironic waits until it does not answer (agent_client.py, `lockdown`)."""
    for nic in nics(host):
        host.run(["ip", "link", "set", "dev", nic.name, "down"])
    log.info("locked down: all NICs are down")
