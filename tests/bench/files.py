# SPDX-License-Identifier: Apache-2.0
"""The image that is written: a real Debian in an 8 GiB disk, in every form, made once and kept.

Its key is what it is made of, without the agent's own code: the same bytes as long as nothing about Debian changes.
The chunked form has a key of its own, the code that packs it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agent.model.image import ImageFormat, ImageRef
from tests.bench.limit import whole_grains

REPOSITORY = Path(__file__).parents[2]
CACHE = Path(os.environ.get("BMS_AGENT_CACHE", Path.home() / ".cache/bms-agent"))
SUITE = "trixie"
SIZE_MIB = 8192
PACKAGES = (
    "build-essential,clang,cmake,docker.io,gdb,git,golang-go,linux-headers-amd64,nodejs,"
    "python3-pandas,python3-scipy,rustc,cargo,vim"
)
BUILDERS = ("images/debian", "images/build/debian")
PACKERS = ("agent/model/chunked.py", "agent/apply/chunked/pack.py", "agent/apply/chunked/compress.py")

Command = Callable[[Path, Path], list[str]]
FORMS: dict[str, tuple[ImageFormat, Command]] = {
    "disk.raw.zst": (ImageFormat.RAW_ZST, lambda raw, out: ["zstd", "-q", "-3", "-T0", str(raw), "-o", str(out)]),
    "disk.raw.gz": (ImageFormat.RAW_GZ, lambda raw, out: ["sh", "-c", 'pigz -6 -n -c "$1" >"$2"', "", *two(raw, out)]),
    "disk.qcow2": (ImageFormat.QCOW2, lambda raw, out: ["qemu-img", "convert", "-O", "qcow2", *two(raw, out)]),
    "disk-zlib.qcow2": (
        ImageFormat.QCOW2,
        lambda raw, out: ["qemu-img", "convert", "-W", "-m", "4", "-c", "-O", "qcow2", *two(raw, out)],
    ),
}


def two(raw: Path, out: Path) -> tuple[str, str]:
    """Both as words."""
    return str(raw), str(out)


@dataclass(frozen=True)
class Image:
    """One disk in every form: files of one folder."""

    folder: Path

    @property
    def raw(self) -> Path:
        """The disk itself, sparse."""
        return self.folder / "disk.raw"

    @cached_property
    def size_bytes(self) -> int:
        """Of the disk."""
        return self.raw.stat().st_size

    @cached_property
    def allocated_bytes(self) -> int:
        """What holds data, in units of 64 KiB: what every writer that knows of holes has to write."""
        with self.raw.open("rb") as file:
            return sum(last - first for first, last in whole_grains(file.fileno(), self.size_bytes))

    @cached_property
    def chunked(self) -> Path:
        """Packed by `bms-agent image pack`, if that was not done yet."""
        return self.made(f"chunked-{content_key(PACKERS)}.zst", pack_argv)

    @property
    def digest(self) -> str:
        """Of the chunked form: its manifest's."""
        return (self.folder / f"partial-{self.chunked.name}.digest").read_text()

    def form(self, name: str) -> Path:
        """One of `FORMS`."""
        return self.made(name, FORMS[name][1])

    def file(self, name: str) -> Path:
        """Any form, by its name."""
        if name == "chunked":
            return self.chunked
        return self.raw if name == self.raw.name else self.form(name)

    def made(self, name: str, command: Command) -> Path:
        """Made under another name first: a file that is there is whole."""
        out = self.folder / name
        if not out.exists():
            say(f"making {name}")
            partial = self.folder / f"partial-{name}"
            partial.unlink(missing_ok=True)
            subprocess.run(command(self.raw, partial), check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
            partial.rename(out)
        return out

    def reference(self, name: str, base_url: str) -> ImageRef:
        """How our writer is told of a form, on that server."""
        file = self.file(name)
        form = FORMS[name][0] if name in FORMS else ImageFormat.CHUNKED if name == "chunked" else ImageFormat.RAW
        digest = self.digest if name == "chunked" else self.sha256(file)
        return ImageRef(url=f"{base_url}/{file.name}", format=form, sha256=digest, size_bytes=self.size_bytes)

    def sha256(self, file: Path) -> str:
        """Of a file of the folder; kept beside it."""
        kept = self.folder / f"{file.name}.sha256"
        if not kept.exists():
            with file.open("rb") as stream:
                kept.write_text(hashlib.file_digest(stream, "sha256").hexdigest())
        return kept.read_text()


def image(own: str = "") -> Image:
    """The Debian of 8 GiB; built, if it is not there. Or the disk.raw of a folder of one's own."""
    if own:
        return Image(Path(own).resolve(strict=True))
    folder = CACHE / "bench" / f"debian-{content_key(BUILDERS, SUITE, PACKAGES, str(SIZE_MIB))}"
    if not (folder / "disk.raw").exists():
        say("building a Debian of 8 GiB")
        argv = ["images/debian", "--suite", SUITE, "--name", "bench", "--size", str(SIZE_MIB), "--include", PACKAGES]
        built = subprocess.run(argv, check=True, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
        keep(Path(built) / "debian.raw", folder)
    return Image(folder)


def keep(raw: Path, folder: Path) -> None:
    """A sparse copy: every block of zeroes is a hole."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--sparse=always", str(raw), str(folder / "partial")], check=True)
    shutil.move(folder / "partial", folder / "disk.raw")


def content_key(paths: tuple[str, ...], *words: str) -> str:
    """Of files and folders of the repository, and words."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in paths:
        top = REPOSITORY / path
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(REPOSITORY)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def pack_argv(raw: Path, out: Path) -> list[str]:
    """With our defaults."""
    return [sys.executable, "-m", "tests.bench.pack", str(raw), str(out)]


def say(text: str) -> None:
    """What takes long, on stderr: stdout is for the result."""
    sys.stderr.write(f"bench: {text}\n")
