# SPDX-License-Identifier: Apache-2.0
"""Everything about this machine that helps whoever was not there: a tar.gz of texts, made at once and within bounds.

In: a host, and how many bytes it may be. Out: the archive. Its names are ironic-python-agent's where it has the same.
A source that fails is a text that says why; a source that hangs is not waited for. Secrets are taken out of all texts:
what stands behind a secret's name, and what this machine keeps as one, wherever it turns up. Of our own state only the
files' names are told: it is made of secrets. What is too large loses its oldest lines; the manifest says how much.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from agent import __version__
from agent.errors import AgentError
from agent.host.doors import Files, Host
from agent.inventory import take
from agent.inventory.secrets import redacted, values
from agent.inventory.side_by_side import side_by_side
from agent.model.bundle import FILE, BundledFile, Manifest
from agent.model.fact import Unknown

READY_S = 25.0
COMMAND_S = 20.0
JOURNAL_LINES = 10_000
ROUNDS = 40
KEPT = 0.8
"""Of what is there still, as long as it is too large: how well it compresses is seen when it is compressed."""

EFI_VARIABLES = "/sys/firmware/efi/efivars"
EFI_GUID = "8be4df61-93ca-11d2-aa0d-00e098032b8c"  # EFI_GLOBAL_VARIABLE (UEFI 2.10, section 3.3)
STATE = ("/run/bms-agent", "/var/lib/bms-agent")
SETTINGS = "/etc/bms-agent/agent.toml"
LARGEST_STATE_BYTES = 4 << 20
"""Of a file of ours that is searched for secrets: images that a capture lays aside are no texts."""

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "journal": ("journalctl", "--boot", "--no-pager", "--output=short-precise", f"--lines={JOURNAL_LINES}"),
    "dmesg": ("dmesg",),
    "df": ("df", "-a"),
    "ip_addr": ("ip", "-details", "-statistics", "address"),
    "ip_route": ("ip", "route", "show", "table", "all"),
    "ip_rule": ("ip", "rule"),
    "ip_neigh": ("ip", "neighbour"),
    "lsblk": ("lsblk", "--all", "--output-all", "--pairs"),
    "units": ("systemctl", "--no-pager", "--all", "list-units"),
}
FILES: Mapping[str, str] = {
    "cmdline": "/proc/cmdline",
    "mdstat": "/proc/mdstat",
    "meminfo": "/proc/meminfo",
    "modules": "/proc/modules",
    "mount": "/proc/self/mounts",
    "net_dev": "/proc/net/dev",
    "partitions": "/proc/partitions",
    "resolv.conf": "/etc/resolv.conf",
    "agent.toml": SETTINGS,
    "uptime": "/proc/uptime",
    "version": "/proc/version",
}
Texts = dict[str, str]


def bundle(host: Host, limit_bytes: int) -> bytes:
    """The archive. It never raises an `AgentError`."""
    return collected(host, sources(host), limit_bytes)[0]


def collected(host: Host, asked: Mapping[str, Callable[[], Texts]], limit_bytes: int) -> tuple[bytes, Manifest]:
    """An archive of what these sources bring, and what is in it."""
    secrets = kept_secrets(host.files)
    texts = {name: redacted(text, secrets) for name, text in gathered(asked).items()}
    return packed(texts, host.clock.now(), limit_bytes)


def kept_secrets(files: Files) -> frozenset[str]:
    """Every secret that this machine was given: in its settings, on its command line, in the agent's own state. What
    cannot be read here is not in another text either, or stands there behind a secret's name.
    """
    found: set[str] = set()
    for root in (FILES["cmdline"], SETTINGS, *STATE):
        with suppress(AgentError):
            for path in listing(files, root).splitlines():
                with suppress(AgentError):
                    if files.exists(path) and not files.names(path):
                        found |= values(beginning(files, path))
    return frozenset(found)


def beginning(files: Files, path: str) -> str:
    """As much of a text as secrets are looked for in."""
    with files.open_large(path) as file:
        buffer = bytearray(min(file.size_bytes or LARGEST_STATE_BYTES, LARGEST_STATE_BYTES))
        count = file.read_into(0, memoryview(buffer))
    return buffer[:count].decode("utf-8", errors="replace")


def sources(host: Host) -> dict[str, Callable[[], Texts]]:
    """Where texts come from, by name; a source may bring several."""

    def command(name: str, argv: tuple[str, ...]) -> Callable[[], Texts]:
        return lambda: {name: host.run(argv, timeout_s=COMMAND_S).stdout}

    def file(name: str, path: str) -> Callable[[], Texts]:
        return lambda: {name: host.files.read_text(path)}

    return {
        **{name: command(name, argv) for name, argv in COMMANDS.items()},
        **{name: file(name, path) for name, path in FILES.items()},
        "efibootmgr": lambda: {"efibootmgr": boot_entries(host.files)},
        "inventory.json": lambda: {"inventory.json": take(host).model_dump_json(indent=1)},
        "ps": lambda: {"ps": processes(host.files)},
        "state": lambda: {"state": "".join(listing(host.files, path) for path in STATE)},
        "udev": lambda: udev(host),
    }


def gathered(asked: Mapping[str, Callable[[], Texts]], ready_s: float = READY_S) -> Texts:
    """What they bring, or why not; all side by side, and only as long as there is time."""
    texts: Texts = {}
    for name, brought in side_by_side(asked, ready_s).items():
        texts |= {name: f"{brought.unknown}\n"} if isinstance(brought, Unknown) else brought
    return texts


def udev(host: Host) -> Texts:
    """What udev knows of each block device."""
    return {
        f"udev/{name}": json.dumps(dict(properties), indent=1, sort_keys=True)
        for name, properties in host.udev.block_devices().items()
    }


def processes(files: Files) -> str:
    """Number, parent, state, name, command line; a process that ends meanwhile is left out (proc(5))."""
    rows = ["PID PPID STATE NAME COMMAND"]
    for pid in sorted(filter(str.isdecimal, files.names("/proc")), key=int):
        try:
            stat = files.read_text(f"/proc/{pid}/stat")
            command = files.read_text(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
        except AgentError:
            continue
        name, (state, parent, *_) = stat[stat.find("(") + 1 : stat.rfind(")")], stat[stat.rfind(")") + 1 :].split()
        rows.append(f"{pid} {parent} {state} {name} {command}")
    return "\n".join(rows) + "\n"


def boot_entries(files: Files) -> str:
    """What the firmware boots, and in which order: four bytes of attributes, then the variable (efivarfs)."""
    rows = []
    for name in files.names(EFI_VARIABLES):
        variable, _, guid = name.partition("-")
        if guid == EFI_GUID and variable.startswith("Boot"):
            value = files.read_bytes(f"{EFI_VARIABLES}/{name}")[4:]
            rows.append(f"{variable}: {entry(variable, value)}\n")
    return "".join(rows) or "no boot entries: this machine was not booted by UEFI\n"


def entry(variable: str, value: bytes) -> str:
    """An entry's own name (UEFI 2.10, section 3.1.3: behind 6 bytes, UTF-16), or the numbers of a list of entries."""
    if not re.fullmatch("Boot[0-9A-F]{4}", variable):
        return " ".join(f"{int.from_bytes(value[at : at + 2], 'little'):04X}" for at in range(0, len(value), 2))
    name = value[6:].decode("utf-16-le", errors="replace").partition("\0")[0]
    return name if value[:1] and value[0] & 1 else f"{name} (inactive)"


def listing(files: Files, path: str, depth: int = 5) -> str:
    """Names at and below a path, a line each; not for ever, if a link leads back."""
    below = files.names(path) if depth else ()
    return f"{path}\n" + "".join(listing(files, f"{path}/{name}", depth - 1) for name in below)


def packed(texts: Texts, now: datetime, limit_bytes: int) -> tuple[bytes, Manifest]:
    """Within the limit: the largest lose their oldest lines until it is so. The manifest is the last to go."""
    left = texts
    for _ in range(ROUNDS):
        manifest = described(left, texts, now, limit_bytes)
        archive = archived({FILE: manifest.model_dump_json(indent=1) + "\n", **left}, now)
        if len(archive) <= limit_bytes:
            return archive, manifest
        left = shortened(left, KEPT * min(1.0, limit_bytes / len(archive)))
    return archived({}, now), described({}, {}, now, limit_bytes)


def described(texts: Texts, whole: Texts, now: datetime, limit_bytes: int) -> Manifest:
    """What is in it, and how much of each there was."""
    contents = {name: texts[name].encode("utf-8", errors="replace") for name in sorted(texts)}
    files = (
        BundledFile(
            name=name,
            size_bytes=len(content),
            whole_bytes=len(whole[name].encode("utf-8", errors="replace")),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        for name, content in contents.items()
    )
    return Manifest(agent_version=__version__, made_at=now, limit_bytes=limit_bytes, files=tuple(files))


def shortened(texts: Texts, share: float) -> Texts:
    """So much of it all: nothing is cut below the length at which all that is longer than it suffices."""
    left = int(sum(map(len, texts.values())) * share)
    longest = 0
    for number, length in enumerate(sorted(map(len, texts.values()))):
        longest = left // (len(texts) - number)
        if length > longest:
            break
        left -= length
    return {name: latest(text, longest) for name, text in texts.items()}


def latest(text: str, length: int) -> str:
    """The last whole lines of a text, at most so long."""
    if len(text) <= length:
        return text
    start = text.find("\n", len(text) - length - 1) + 1
    return text[start:] if start and length else ""


def archived(texts: Texts, now: datetime) -> bytes:
    """A tar.gz, the same for the same texts."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in sorted(texts):
            content = texts[name].encode("utf-8", errors="replace")
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), int(now.timestamp())
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), compresslevel=6, mtime=int(now.timestamp()))
