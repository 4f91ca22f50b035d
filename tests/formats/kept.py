# SPDX-License-Identifier: Apache-2.0
"""The formats, each with how its files are read again; and what says that one has another shape than before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from zstandard import ZstdDecompressor

from agent.host.fake import FakeHost
from agent.job.journal import Entry, recalled
from agent.job.ledger import Ledger
from agent.job.network_record import Held, NetworkRecord, Pending
from agent.job.outbox import Slip, waiting_in
from agent.model import chunked
from agent.model.description import Description
from agent.model.ed25519 import is_signed
from agent.model.fact import Unknown
from agent.model.frozen import decode
from agent.model.network import NetworkConfig
from agent.model.protocol import BootProof, Desired, Enroll, Heartbeat, ReportBatch, ServiceIdentity
from tests.apply.test_chunked_sign import OURS
from tests.formats import made
from tests.formats.made import HOME

PLACE = Path(__file__).parent / "files"
WORDS = ("description", "title", "examples")


@dataclass(frozen=True)
class Format:
    """A file of an agent's. `told` is what the agent that reads it knows then, which must be as it ever was."""

    name: str
    models: TypeAdapter[Any]
    make: Callable[[], bytes]
    told: Callable[[bytes], object]
    expected: object
    version: int = 1

    @property
    def shape(self) -> str:
        """Of what is written: another one as soon as a field comes, goes, or takes other values."""
        schema = bare(self.models.json_schema(mode="serialization"))
        return hashlib.sha256(json.dumps([schema, self.version], sort_keys=True).encode()).hexdigest()[:12]

    @property
    def files(self) -> list[Path]:
        """Oldest first: `0001-SHAPE`."""
        return sorted((PLACE / self.name).glob("[0-9]*-*"))


def bare(schema: object) -> object:
    """Without what is for people, and without the names of classes."""
    match schema:
        case dict():
            return {key: bare(value) for key, value in schema.items() if key not in WORDS or isinstance(value, dict)}
        case list():
            return [bare(value) for value in schema]
        case _:
            return schema


def with_file(name: str, content: bytes) -> FakeHost:
    """An agent's, after its restart."""
    return FakeHost.with_files({f"{HOME}/{name}": content})


def jobs(content: bytes) -> object:
    """Of a journal: how each job stands, on which disks, in which step."""
    found = recalled(with_file("journal.log", content).files, HOME)
    return {job.request_id: (job.verb, job.state.value, job.step, len(job.disks)) for job in found}


def reports(content: bytes) -> object:
    """Of an outbox: what is still to be delivered."""
    waiting = waiting_in(with_file("outbox.log", content).files, HOME)
    return [(one.sequence, one.report.request_id, one.report.state.value) for one in waiting]


def orders(content: bytes) -> object:
    """Of ledgers: each is for this node, of its generation, and holds a network of three links, and an order."""
    held = [Ledger(with_file("ledger.json", line).files, HOME, "node-1").held for line in content.splitlines()]
    return {
        (one.generation, len(one.network.links), one.request.request_id)
        for one in held
        if one and one.network and one.request
    } | ({"unread"} if None in held else set())


def network(content: bytes) -> object:
    """What holds, and what is to be taken back."""
    held, pending = content.splitlines()
    host = FakeHost.with_files({f"{HOME}/network.json": held, f"{HOME}/network-change.json": pending})
    record = NetworkRecord(host.files, HOME)
    change = record.pending()
    assert change is not None
    return (record.held().generation, names(record.held().config), names(change.failed), names(change.snapshot.config))


def server(content: bytes) -> object:
    """Whose server it is, with what it may call its controller, and how its network begins."""
    found = decode(ServiceIdentity, content, "reading an identity")
    secrets = (found.credential.get_secret_value(), found.nonce.get_secret_value())
    return found.controller_url, found.node_id, found.server_id, *secrets, names(found.network)


def disk(content: bytes) -> object:
    """Of a chunked image: what it unpacks to, and whether its signature is still one."""
    place = chunked.place_of_manifest(content[-chunked.TAIL_BYTES :], len(content))
    payload, signature = chunked.unframe(memoryview(content)[place.offset : place.offset + place.length])
    manifest = chunked.parse(payload)
    raw = ZstdDecompressor().stream_reader(BytesIO(content), read_across_frames=True).read()
    is_ours = signature is not None and is_signed(payload, signature, OURS)
    return manifest.disk_bytes, len(manifest), hashlib.sha256(raw).hexdigest(), is_ours


def told(content: bytes) -> object:
    """To a controller: who speaks and what it is made of, how it is, what became of its requests."""
    enrolment, proof, beat, batch = (
        model.model_validate_json(line, extra="ignore")
        for model, line in zip(MESSAGES, content.splitlines(), strict=True)
    )
    assert isinstance(enrolment, Enroll) and isinstance(proof, BootProof)
    assert isinstance(beat, Heartbeat) and beat.progress and isinstance(batch, ReportBatch)
    made_of = enrolment.inventory
    assert not isinstance(made_of.disks, Unknown) and not isinstance(made_of.nics, Unknown)
    hardware = (sorted(str(one.serial) for one in made_of.disks), len(made_of.nics))
    ended = [
        (one.sequence, one.report.state.value, one.report.fault and one.report.fault.code) for one in batch.reports
    ]
    return enrolment.session.session_id, *hardware, proof.root_disk_serial, beat.progress.done_bytes, ended


def names(config: NetworkConfig) -> tuple[str, ...]:
    """Of its links."""
    return tuple(link.name for link in config.links)


MESSAGES: tuple[type[BaseModel], ...] = (Enroll, BootProof, Heartbeat, ReportBatch)
THREE = ("eth0", "eth1", "eth0.7")
FORMATS = (
    Format("journal", TypeAdapter(Entry), made.journal, jobs, {
        "done": ("image.deploy", "succeeded", "write_image", 1),
        "failed": ("disk.erase", "failed", None, 0),
        "begun": ("raid.create", "running", "write_image", 1),
    }),
    Format("outbox", TypeAdapter(Slip), made.outbox, reports, [
        (2, "done", "succeeded"), (3, "failed", "running"), (4, "failed", "failed"),
    ]),
    Format("ledger", TypeAdapter(Desired), made.ledgers, orders, {(7, 3, "r-1")}),
    Format("identity", TypeAdapter(ServiceIdentity), made.identity, server, (
        "http://10.0.0.1:8480", "node-1", "server-1", "s3cret", "n0nce", THREE,
    )),
    Format("image", TypeAdapter(Description), made.image, disk, (
        1 << 20, 2, "e80843c878af6932f15fe4e5857d3f7e937b7db45880b110f8599acede63dc07", True,
    ), version=chunked.VERSION),
    Format("messages", TypeAdapter(tuple[Enroll, BootProof, Heartbeat, ReportBatch]), made.messages, told, (
        "s-1", ["S5G0NE0R000000", "S5G0NE0R000001", "S61BNE0R100000", "S61BNE0R100001"], 4, "S1", 5,
        [(1, "running", None), (2, "failed", "DISK.CHANGED")],
    )),
    Format("network", TypeAdapter(tuple[Held, Pending]), made.networks, network, (7, THREE, THREE, THREE)),
)  # fmt: skip


def missing() -> Iterator[Format]:
    """Formats whose present shape has no file."""
    for one in FORMATS:
        if one.shape not in {path.name.partition("-")[2] for path in one.files}:
            yield one
