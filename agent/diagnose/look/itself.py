# SPDX-License-Identifier: Apache-2.0
"""What the agent has left about itself: where it lives, whom it serves, what it was doing, how its processes ended."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from agent import config
from agent.diagnose.seen import Ending, InCharge, Mode, Place, Unit
from agent.errors import AgentError
from agent.host.doors import Files, Host, Run
from agent.job.journal import Job, recalled
from agent.job.ledger import Ledger
from agent.job.network_record import Held, Pending, remembered
from agent.job.outbox import waiting_in
from agent.job.status import status_in
from agent.model.fault import Fault
from agent.model.frozen import decode
from agent.model.ironic.parameters import CA_FILE, MDNS, Parameters, parameters
from agent.model.protocol import Desired, ServiceIdentity
from agent.model.space import Space
from agent.model.status import Status

UNITS = ("bms-agent.service", "bms-agent-ramdisk.service")
BESIDE = (
    "bms-agent-link.service",
    "bms-agent-api.service",
    "bms-agent-controller.service",
    "bms-agent-importer.service",
)
"""What else of ours may have ended here."""
RAMDISK_UNIT = "/usr/lib/systemd/system/bms-agent-ramdisk.service"
CMDLINE = "/proc/cmdline"
SHOWN = ("Id", "LoadState", "ActiveState", "NRestarts")
PROCESS_EXITED = "98e322203f7a4ed290d09fe03c09fe15"
"""SD_MESSAGE_UNIT_PROCESS_EXIT (sd-messages.h). A process that ended well is told at a level that is not stored."""
MOST_ENDINGS = 50
TOOL_S = 2.0
NEEDED = 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW (capabilities(7))


def place(host: Host) -> Place:
    """Where the agent is at home here, by what it has written, and by what wrote the kernel's command line."""
    files = host.files
    mode: Mode | None = None
    try:
        mode = "ramdisk" if files.exists(RAMDISK_UNIT) else None
        cmdline = files.read_text(CMDLINE) if files.exists(CMDLINE) else ""
        text = files.read_text(config.CONFIG_FILE) if files.exists(config.CONFIG_FILE) else None
        settings = config.load(text, cmdline if mode == "ramdisk" else "")
        identity = identity_in(files, str(settings.state_dir))
        urls: tuple[InCharge, ...] = ()
        told = parameters(cmdline) if mode == "ramdisk" else None
        if settings.controller is not None:
            urls = (InCharge(settings.controller, insecure=settings.ca is not None),)
        elif identity is not None:
            urls = (InCharge(identity.controller_url, insecure=identity.ca is not None),)
        elif told is not None:
            urls = ironics(files, str(settings.runtime_dir), told)
    except AgentError as error:
        return Place(mode=mode, fault=Fault.of(error))
    return Place(
        mode=mode or ("service" if identity is not None else None),
        state_dir=str(settings.runtime_dir if mode == "ramdisk" else settings.state_dir),
        runtime_dir=str(settings.runtime_dir),
        node_id=identity.node_id if identity is not None else None,
        controllers=urls,
        asks_around=told is not None and (told.use_mdns or MDNS in (*told.api_urls, *told.inspection_urls)),
    )


def ironics(files: Files, directory: str, told: Parameters) -> tuple[InCharge, ...]:
    """Where Ironic is: as the command line says; else, where virtual media or the network said so, by the agent's own
    word. The authorities are those that it goes by, wherever they came from. Raises `AgentError`.
    """
    found = [url for url in told.api_urls if url != MDNS]
    if not found and (said := status_in(files, directory)) is not None and said.conductor == "ironic":
        found = said.controller.split(", ")
    path = f"{directory}/ironic/{CA_FILE}"
    ca_pem = files.read_text(path) if files.exists(path) else None
    return tuple(InCharge(url, told.insecure, ca_pem) for url in found if url)


def identity_in(files: Files, directory: str) -> ServiceIdentity | None:
    """Whose server this is, if an installed agent has found that out."""
    path = f"{directory}/identity.json"
    return decode(ServiceIdentity, files.read_bytes(path), f"reading {path}") if files.exists(path) else None


def may_ask(files: Files) -> bool:
    """Whether this process may send what it has to send; where the kernel does not tell, it is tried."""
    path = "/proc/self/status"
    told = re.search(r"^CapEff:\s*([0-9a-f]+)", files.read_text(path), re.MULTILINE) if files.exists(path) else None
    return told is None or int(told[1], 16) & NEEDED == NEEDED


def jobs(files: Files, here: Place) -> tuple[Job, ...]:
    """What the journal says, oldest first."""
    return recalled(files, here.state_dir)


def reports(files: Files, here: Place) -> int:
    """How many wait for the controller to confirm them."""
    return len(waiting_in(files, here.state_dir))


def desired(files: Files, here: Place) -> Desired | None:
    """What the controller wanted last, of a node that knows who it is."""
    return None if here.node_id is None else Ledger(files, here.state_dir, here.node_id).held


def remembered_network(files: Files, here: Place) -> tuple[Held | None, Pending | None]:
    """What held last, and a change that is under way."""
    return remembered(files, here.state_dir)


def status(files: Files, here: Place) -> Status | None:
    """In the agent's own words."""
    return status_in(files, here.runtime_dir)


def spaces(files: Files, here: Place) -> dict[str, Space]:
    """What there is left where the agent writes: what it remembers, and what it says of itself."""
    found = {path: files.space(path) for path in dict.fromkeys((here.state_dir, here.runtime_dir))}
    return {path: space for path, space in found.items() if space is not None}


def units(run: Run) -> tuple[Unit, ...]:
    """Those that systemd knows."""
    argv = ["systemctl", "--no-pager", "show", f"--property={','.join(SHOWN)}", *UNITS]
    return tuple(shown(run(argv, timeout_s=TOOL_S).stdout))


def shown(text: str) -> Iterator[Unit]:
    """`systemctl show`: a paragraph a unit, NAME=VALUE a line."""
    for paragraph in text.split("\n\n"):
        told = dict(line.partition("=")[::2] for line in paragraph.splitlines())
        if told.get("LoadState") == "loaded":
            restarts = told.get("NRestarts", "0")
            yield Unit(told.get("Id", ""), told.get("ActiveState", ""), int(restarts) if restarts.isdecimal() else 0)


def endings(run: Run) -> tuple[Ending, ...]:
    """Of this boot and of earlier ones, as far as the system keeps its log."""
    argv = ["journalctl", "--no-pager", "--quiet", "--output=json", f"--lines={MOST_ENDINGS}"]
    argv += [f"MESSAGE_ID={PROCESS_EXITED}", *(f"UNIT={unit}" for unit in (*UNITS, *BESIDE))]
    return tuple(ended(run(argv, timeout_s=TOOL_S).stdout))


def ended(text: str) -> Iterator[Ending]:
    """One entry a line (systemd's Journal JSON Format). What is none is passed over: logs are cut anywhere."""
    for line in text.splitlines():
        try:
            entry: dict[str, Any] = json.loads(line)
            at = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1_000_000, UTC)
            how = f"{entry['EXIT_CODE']}, status {entry['EXIT_STATUS']}"
            if how != "exited, status 0":
                yield Ending(str(entry["UNIT"]), boot_name(str(entry["_BOOT_ID"])), how, at)
        except (ValueError, KeyError, TypeError):
            continue


def boot_name(plain: str) -> str:
    """As the kernel writes it: with hyphens."""
    return re.sub(r"^(.{8})(.{4})(.{4})(.{4})(.{12})$", r"\1-\2-\3-\4-\5", plain)
