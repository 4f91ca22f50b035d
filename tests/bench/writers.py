# SPDX-License-Identifier: Apache-2.0
"""Who writes an image to a disk: we, form by form, and the others, each as its own project would have it called."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.files import CACHE, Image
from tests.bench.measure import Pipe

OUR_FORMS = {
    "chunked": "chunked",
    "qcow2": "disk.qcow2",
    "qcow2 zlib": "disk-zlib.qcow2",
    "raw.zst": "disk.raw.zst",
    "raw.gz": "disk.raw.gz",
    "raw": "disk.raw",
}
PEERS = ("ironic-python-agent, raw", "qemu-img, qcow2", "qemu-img, qcow2 zlib", "curl | zstd | dd", "curl | gzip | dd")
FETCHED = OUR_FORMS | {
    "ironic-python-agent, raw": "disk.raw",
    "qemu-img, qcow2": "disk.qcow2",
    "qemu-img, qcow2 zlib": "disk-zlib.qcow2",
    "curl | zstd | dd": "disk.raw.zst",
    "curl | gzip | dd": "disk.raw.gz",
    "limit: source": "chunked",
    "limit: source, qcow2": "disk.qcow2",
}
"""Which form each of them has from the server."""
FILLS_THE_PAGE_CACHE = PEERS[:1]
LIMITS = {
    "chunked": ("limit: disk", "limit: source", "limit: decoding"),
    "qcow2": ("limit: disk", "limit: source, qcow2", "limit: SHA-256, qcow2"),
    "raw.zst": ("limit: disk", "limit: unzstd"),
    "raw.gz": ("limit: disk", "limit: gunzip"),
}
READING = "limit: reading"
TIME_THEMSELVES = ("limit: disk", "limit: decoding", "limit: unzstd", "limit: gunzip", "limit: SHA-256, qcow2", READING)


@dataclass(frozen=True)
class Place:
    """Where everything is in one measurement. `inside` is put before a command that fetches."""

    image: Image
    url: str
    node: str
    work: Path
    inside: tuple[str, ...] = ()


def pipe(name: str, place: Place, *flags: str) -> Pipe:
    """The command of a writer, or of a limit, by its name."""
    if name in OUR_FORMS:
        return [ours(OUR_FORMS[name], place, *flags)]
    if name in PEERS:
        return peer(name, place)
    return [limit(name, place)]


def ours(form: str, place: Place, *flags: str) -> list[str]:
    """`tests.bench.write`."""
    reference = place.work / f"{form}.json"
    reference.write_text(place.image.reference(form, place.url).model_dump_json())
    return [
        *place.inside,
        sys.executable,
        "-m",
        "tests.bench.write",
        place.node,
        str(reference),
        str(place.work),
        *flags,
    ]


def peer(name: str, place: Place) -> Pipe:
    """One of `PEERS`."""
    image, url = place.image, place.url
    onto = ["dd", "bs=4M", "iflag=fullblock", "oflag=direct", "status=none", f"of={place.node}"]
    convert = ["qemu-img", "convert", "-n", "-t", "none", "-W", "-m", "8", "-f", "qcow2", "-O", "raw"]
    match name:
        case "ironic-python-agent, raw":
            agent = [str(CACHE / "bench/ipa/bin/python"), "tests/bench/ipa.py"]
            return [[*agent, place.node, f"{url}/{image.raw.name}", image.sha256(image.raw)]]
        case "qemu-img, qcow2":
            return [[*convert, f"{url}/{image.form('disk.qcow2').name}", place.node]]
        case "qemu-img, qcow2 zlib":
            return [[*convert, f"{url}/{image.form('disk-zlib.qcow2').name}", place.node]]
        case "curl | zstd | dd":
            return [["curl", "-sSf", f"{url}/{image.form('disk.raw.zst').name}"], ["zstd", "-q", "-dc"], onto]
        case "curl | gzip | dd":
            return [["curl", "-sSf", f"{url}/{image.form('disk.raw.gz').name}"], ["gzip", "-dc"], onto]
    raise ValueError(name)


def limit(name: str, place: Place) -> list[str]:
    """One of `LIMITS`, or `READING`."""
    image = place.image
    sources = {"limit: source": image.chunked, "limit: source, qcow2": image.form("disk.qcow2")}
    if file := sources.get(name):
        return [*place.inside, "curl", "-sSf", "-o", "/dev/null", f"{place.url}/{file.name}"]
    words = {
        "limit: disk": ("write", place.node, str(image.allocated_bytes)),
        "limit: unzstd": ("unzstd", str(image.form("disk.raw.zst"))),
        "limit: gunzip": ("gunzip", str(image.form("disk.raw.gz"))),
        "limit: SHA-256, qcow2": ("hash", str(image.form("disk.qcow2"))),
        "limit: decoding": ("decode", str(image.chunked), str(cores())),
        READING: ("read", place.node, str(image.raw)),
    }
    return [sys.executable, "-m", "tests.bench.limit", *words[name]]


def cores() -> int:
    """As many threads as could run at once."""
    return len(os.sched_getaffinity(0))
