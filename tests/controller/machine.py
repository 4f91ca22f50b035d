# SPDX-License-Identifier: Apache-2.0
"""A machine with a fake agent: it boots what it is told to, speaks the protocol, and does as it is asked."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from httpx2 import Response

from agent.link.key import NodeKey
from agent.model import signature
from agent.model.config_drive import ConfigDrive
from agent.model.disk import Content, Disk, RootDeviceHints
from agent.model.erasing import Erasure, Means, Samples
from agent.model.erasing.certificate import IN_RESULT, Certificate, SignedCertificate, signed
from agent.model.fact import known
from agent.model.fault import Fault
from agent.model.inventory import Inventory
from agent.model.job import JobReport, JobState, Progress, Result, SequencedReport
from agent.model.network import NetworkState, Nic
from agent.model.protocol import (
    CERTIFICATE_PATH,
    Booted,
    BootProof,
    CertificateRequest,
    Desired,
    Enroll,
    Enrolled,
    Heartbeat,
    HeartbeatAnswer,
    Mode,
    NodeCertificate,
    ReportBatch,
    ReportsAnswer,
    ServiceIdentity,
    Session,
)
from agent.model.request import DeployRequest, EraseRequest, PowerOffRequest, RebootRequest, Request
from agent.model.signature import signed_text
from agent.model.system import Cpu, Memory, System
from tests.controller.world import World

BMC = {"address": "https://bmc.example/redfish/v1/Systems/1", "username": "u", "password": "p"}

GIB = 1024**3
DEPLOY_STEPS = ("write_image", "place_config_drive", "seal_disk")
GPT = Content(node="/dev/sda", kind="gpt")


def disk(name: str = "sda", gb: int = 40, *contents: Content, rotational: bool = False, **more: Any) -> Disk:
    """A disk of that size."""
    facts: dict[str, Any] = {
        "name": name,
        "path": f"/dev/{name}",
        "size_bytes": gb * 10**9,
        "serial": f"SN-{name}",
        "wwn": f"0x5000{name.encode().hex():0>12}",
        "transport": "sata",
        "rotational": rotational,
        "contents": contents,
    }
    return Disk(**facts | more)


def a_key() -> NodeKey:
    """Another one each time."""
    return NodeKey(secrets.token_bytes(32))


@dataclass
class Machine:
    """A machine: what it is made of, what runs on it, what is on its disk."""

    world: World
    number: int = 1
    disks: tuple[Disk, ...] = (disk("sda"), disk("sdb", 80))
    ram_gb: int = 4
    uuid: str | None = None
    mode: Mode | None = None
    boot_id: str = ""
    session: Session | None = None
    credential: str = ""
    token: str = ""
    node_id: str = ""
    drive: dict[str, str] | None = None
    root: str | None = None
    generation: int = 0
    beats: int = 0
    stream_id: str = ""
    reported: int = 0
    seen: list[str] = field(default_factory=list)
    key: NodeKey | None = None
    """What its agent signs with; one of an earlier release has none."""

    @property
    def mac(self) -> str:
        """Of the NIC it boots by."""
        return f"52:54:00:00:01:{self.number:02x}"

    @property
    def inventory(self) -> Inventory:
        """What its ramdisk finds."""
        macs = (self.mac, f"52:54:00:00:02:{self.number:02x}")
        return Inventory(
            system=System(
                vendor="Example",
                product="Box",
                serial=f"BOX{self.number}",
                uuid=self.uuid or f"4c4c4544-0000-4000-8000-0000000000{self.number:02x}",
            ),
            cpu=Cpu(architecture="x86_64", cores=4, threads=8),
            memory=Memory(total_bytes=self.ram_gb * GIB, physical_bytes=self.ram_gb * GIB),
            disks=self.disks,
            nics=tuple(
                Nic(name=f"eno{at}", mac=mac, current_mac=mac, carrier=True, speed_mbps=1000)
                for at, mac in enumerate(macs, 1)
            ),
        )

    def script(self) -> str:
        """What iPXE is told."""
        answer = self.world.http.get("/boot/ipxe", params={"mac": self.mac})
        assert answer.status_code == 200, answer.text
        return answer.text

    def power_on(self) -> Machine:
        """The firmware asks, and the machine boots what it is told; in the end its agent has a session."""
        self.mode, self.session = None, None
        self.boot_id = str(uuid4())
        script = self.script()
        found = re.search(r"bms\.token=(\S+)", script)
        if found:
            self.token = found[1]
            self.enrol()
        elif self.drive is not None:
            self.prove()
        return self

    def new_session(self, mode: Mode) -> Session:
        """The agent's process starts."""
        self.mode, self.beats, self.stream_id, self.reported = mode, 0, str(uuid4()), 0
        self.session = Session(session_id=str(uuid4()), boot_id=self.boot_id, mode=mode, agent_version="1")
        return self.session

    def enrolment(self) -> Enroll:
        """What the ramdisk sends first."""
        session = self.new_session("ramdisk")
        return Enroll.model_validate(
            {"session": session, "token": self.token, "boot_mac": self.mac, "inventory": self.inventory}
        )

    def enrol(self) -> Machine:
        """Be taken in."""
        answer = self.send("/v1/agent/enroll", self.enrolment())
        enrolled = Enrolled.model_validate_json(self.good(answer).text)
        self.node_id, self.generation = enrolled.node_id, 0
        self.credential = enrolled.credential.get_secret_value()
        return self

    def identity(self) -> ServiceIdentity:
        """What is on the config drive for our service."""
        assert self.drive is not None
        return ServiceIdentity.model_validate_json(self.drive["bms-agent/service.json"])

    def proof(self, **changes: Any) -> BootProof:
        """What the installed OS says first."""
        identity = self.identity()
        self.credential = identity.credential.get_secret_value()
        root = next(disk for disk in self.disks if disk.serial == self.root)
        facts = {
            "session": self.new_session("service"),
            "nonce": identity.nonce,
            "machine_id": "0123456789abcdef0123456789abcdef",
            "hostname": "web",
            "root_disk_wwn": root.wwn,
            "root_disk_serial": root.serial,
        }
        return BootProof.model_validate(facts | changes)

    def prove(self) -> Machine:
        """The installed OS boots and returns its nonce."""
        Booted.model_validate_json(self.good(self.send("/v1/agent/boot", self.proof())).text)
        return self

    def desired(self) -> Desired:
        """What the node shall be."""
        target = f"/v1/agent/desired?generation={self.generation}&wait_s=0"
        answer = self.world.http.get(target, headers=self.authorization | self.signature("GET", target))
        desired = Desired.model_validate_json(self.good(answer).text)
        assert desired.generation >= self.generation, "a generation went backwards"
        self.generation = desired.generation
        return desired

    def certificate_of_node(self, key: NodeKey | None = None) -> str:
        """Of a key of TLS; as PEM."""
        asked = CertificateRequest(public_key=(key or a_key()).public)
        answer = self.good(self.send(CERTIFICATE_PATH, asked))
        return NodeCertificate.model_validate_json(answer.text).certificate

    def beat(self, **changes: Any) -> HeartbeatAnswer:
        """A heartbeat."""
        self.beats += 1
        return self.send_beat(self.heartbeat(self.beats, **changes))

    def heartbeat(self, sequence: int, **changes: Any) -> Heartbeat:
        """The heartbeat with that sequence."""
        nics = NetworkState(nics=self.inventory.nics if isinstance(self.inventory.nics, tuple) else ())
        facts = {"session": self.session, "sequence": sequence, "at": self.world.clock.now(), "network": nics}
        return Heartbeat.model_validate(facts | changes)

    def send_beat(self, heartbeat: Heartbeat) -> HeartbeatAnswer:
        """Send it."""
        return HeartbeatAnswer.model_validate_json(self.good(self.send("/v1/agent/heartbeat", heartbeat)).text)

    def progress(self, request: Request, step: str, done: int, total: int) -> Progress:
        """How far a step is."""
        return Progress(request_id=request.request_id, step=step, done_bytes=done, total_bytes=total)

    def report(
        self,
        request: Request,
        state: JobState,
        step: str | None = None,
        fault: Fault | None = None,
        result: Result | None = None,
    ) -> ReportsAnswer:
        """Report through the outbox."""
        self.reported += 1
        return self.send_reports(self.entry(self.reported, request, state, step, fault, result))

    def entry(
        self,
        sequence: int,
        request: Request,
        state: JobState,
        step: str | None = None,
        fault: Fault | None = None,
        result: Result | None = None,
    ) -> SequencedReport:
        """A report with its place in the outbox."""
        return SequencedReport(
            sequence=sequence,
            report=JobReport(
                request_id=request.request_id,
                verb=request.verb,
                state=state,
                step=step,
                fault=fault,
                result=result or {},
                at=self.world.clock.now(),
            ),
        )

    def send_reports(self, *entries: SequencedReport) -> ReportsAnswer:
        """Send these reports."""
        batch = ReportBatch(stream_id=self.stream_id, reports=entries)
        return ReportsAnswer.model_validate_json(self.good(self.send("/v1/agent/reports", batch)).text)

    def serve(self) -> Machine:
        """Do what is asked now, to its end; a machine that is to reboot does."""
        request = self.desired().request
        assert request is not None, "nothing is asked"
        self.seen.append(request.verb)
        match request:
            case DeployRequest():
                self.deploy(request)
                self.power_on()
            case EraseRequest():
                self.erase(request)
            case RebootRequest():
                self.report(request, JobState.SUCCEEDED)
                self.power_on()
            case PowerOffRequest():
                self.report(request, JobState.SUCCEEDED)
                self.mode = None
        return self

    def deploy(self, request: DeployRequest) -> None:
        """Write the disk, step by step."""
        for step in DEPLOY_STEPS:
            self.report(request, JobState.RUNNING, step)
        self.write(request)
        self.report(request, JobState.SUCCEEDED)

    def write(self, request: DeployRequest) -> None:
        """What is on the disk afterwards."""
        assert isinstance(request.config_drive, ConfigDrive)
        assert isinstance(request.root_device, RootDeviceHints)
        self.root = request.root_device.serial
        self.drive = {path: text.get_secret_value() for path, text in request.config_drive.files.items()}

    def erase(self, request: EraseRequest) -> None:
        """Wipe the disks."""
        self.report(request, JobState.RUNNING, "erase_disks")
        self.drive = None
        self.report(request, JobState.SUCCEEDED, result=self.certificate(request))

    def certificate(self, request: EraseRequest, *dead: str, **changes: Any) -> Result:
        """What its agent certifies: every disk is erased, but for the `dead`, by name."""
        now = self.world.clock.now()
        disks = tuple(
            Erasure(
                path=one.path,
                serial=known(one.serial),
                wwn=known(one.wwn),
                size_bytes=one.size_bytes,
                means=None if one.name in dead else Means.ZERO,
                nist="none" if one.name in dead else "clear",
                outcome="failed" if one.name in dead else "erased",
                evidence="Input/output error" if one.name in dead else "65 samples, all zero",
                samples=Samples() if one.name in dead else Samples(canaries=65, read=65, zero=65),
                began_at=now,
                ended_at=now,
            )
            for one in self.disks
        )
        facts: dict[str, Any] = {
            "node_id": request.node_id,
            "request_id": request.request_id,
            "boot_id": self.boot_id,
            "agent_version": "1",
            "issued_at": now,
            "disks": disks,
            "quarantined": tuple(f"SN-{name}" for name in dead),
        }
        told = Certificate.model_validate(facts | changes)
        if self.key is None:
            return {IN_RESULT: signed(told, Ed25519PrivateKey.generate()).model_dump_json()}
        text = told.model_dump_json()
        by_node = SignedCertificate(certificate=text, key=self.key.public, signature=self.key.sign(text.encode()))
        return {IN_RESULT: by_node.model_dump_json()}

    @property
    def authorization(self) -> dict[str, str]:
        """As its node."""
        return {"Authorization": f"Bearer {self.credential}"}

    def send(self, path: str, message: Any) -> Response:
        """Post a message of the protocol."""
        content = message.model_dump_json().encode()
        headers = self.authorization | {"Content-Type": "application/json"}
        bearer = "" if path == "/v1/agent/enroll" else self.credential
        if not bearer:
            del headers["Authorization"]
        return self.world.http.post(path, content=content, headers=headers | self.signature("POST", path, content))

    def signature(
        self, method: str, target: str, content: bytes = b"", changed: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """The headers that sign a call; nothing if it has no key. Some of them may be changed before."""
        if self.key is None:
            return {}
        bearer = "" if target == "/v1/agent/enroll" else self.credential
        headers = {
            signature.KEY: self.key.public,
            signature.TIME: str(int(self.world.clock.now().timestamp())),
            signature.NONCE: uuid4().hex,
            signature.SESSION: self.session.session_id if self.session else "",
            signature.DIGEST: hashlib.sha256(content).hexdigest(),
        } | dict(changed or {})
        return headers | {signature.SIGNATURE: self.key.sign(signed_text(method, target, headers, bearer))}

    def good(self, answer: Response) -> Response:
        """An answer that must be a success."""
        assert answer.status_code == 200, answer.text
        return answer


def deploying(directory: Path) -> tuple[World, Machine]:
    """One with a BMC, in the middle of a deploy."""
    world = World(directory)
    world.stock()
    machine = Machine(world).power_on()
    world.user("PATCH", f"/v1/nodes/{world.node()['id']}", {"bmc": BMC})
    world.order()
    world.look()
    machine.power_on().desired()
    world.look(1)
    world.power.told.clear()
    return world, machine
