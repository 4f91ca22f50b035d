# SPDX-License-Identifier: Apache-2.0
"""A box for programs that read what nobody vouches for: the controller's only door to processes.

In: an argv, what it may read, where it may write, its limits. Out: what it wrote to stdout, piece by piece, or an
error.
bubblewrap makes the box: namespaces of its own for everything, no network, no capabilities, an empty root that holds
/usr read-only and what is named, and nothing else of the host: no /proc, no /etc, no device but /dev/null. Below it are
an unprivileged user, rlimits, and a clock. There is no way around it: without bubblewrap nothing is run.

A controller that is root keeps bubblewrap's own mounts root's, so that its directories may stay closed, and has the
program run as `NOBODY`. Any other controller is unprivileged already: there a user namespace is what allows the rest.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent.errors import CommandFailed, ToolMissing

NOBODY = 65529
"""Of the range that nobody is given an account in (systemd, UIDS-GIDS.md: "65520…65533: unused"): unlike `nobody`,
no other process runs under it."""
PACKAGES = {"bwrap": "bubblewrap", "qemu-img": "qemu-utils", "prlimit": "util-linux", "setpriv": "util-linux"}
SEARCHED = "/usr/bin:/bin:/usr/sbin:/sbin"
NAMESPACES = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
"""Those of --unshare-all; that for users is apart: to a root, it takes the files of other users out of reach."""
NEEDED_TO_BECOME_NOBODY = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links to /usr on most systems, directories on some."""
ARENAS = "1"
"""Of glibc's malloc (mallopt(3), M_ARENA_MAX). Each reserves 64 MiB of addresses, and a thread gets its own: addresses
are what RLIMIT_AS counts, and many threads come to its end without much memory."""
STACK_BYTES = 1024**2
"""Of a thread, and of addresses, too; glibc's 8 MiB make half a gigabyte of the 64 threads that qemu-img may have."""
LOOK_S = 0.5
STDERR_BYTES = 600
PIECE_BYTES = 65536


@dataclass(frozen=True)
class Limits:
    """What a program may use. `wall_s` is of the clock, `cpu_s` of all its threads together."""

    memory_bytes: int
    wall_s: float
    cpu_s: int
    file_bytes: int = 0
    files: int = 128


@dataclass(frozen=True)
class Box:
    """What a program sees: paths outside → paths inside. `output` is the one directory that it may write to."""

    inputs: tuple[tuple[Path, str], ...]
    output: tuple[Path, str] | None = None
    environment: tuple[tuple[str, str], ...] = ()


class ProgramFailed(CommandFailed):
    """What ran in the box ended with a failure, or was ended. `status` is None where it was ended by us."""

    code = "IMAGE.IMPORT_FAILED"
    exit_status = 5
    advice = "The image is damaged, or of a variant that is not read: export it anew where it was made."

    def __init__(self, doing: str, evidence: str, status: int | None = None) -> None:
        super().__init__(doing, evidence)
        self.status = status


def tool(name: str) -> str:
    """Its path. Raises `ToolMissing`."""
    path = shutil.which(name, path=SEARCHED)
    if path is None:
        package = PACKAGES.get(name, name)
        raise ToolMissing(
            "importing an image",
            f"{name} is not installed where the controller runs",
            hint=f"Install the package {package} there: apt-get install {package}.",
        )
    return path


def boxed(argv: Sequence[str], box: Box, limits: Limits, *, is_root: bool, links: dict[str, str]) -> list[str]:
    """The whole command line. `links` are those of `MERGED` that are links, with their targets; others are bound."""
    command = [tool("bwrap"), *NAMESPACES, "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if is_root:
        command += [word for name in NEEDED_TO_BECOME_NOBODY for word in ("--cap-add", name)]
    else:
        command.append("--unshare-user")
    command += ["--ro-bind", "/usr", "/usr"]
    for path, target in links.items():
        command += ["--symlink", target, path] if target else ["--ro-bind", path, path]
    parents = {"/dev"} | {str(parent) for _, inside in box.inputs for parent in PurePosixPath(inside).parents} - {"/"}
    for parent in sorted(parents):
        command += ["--perms", "0755", "--dir", parent]  # bwrap by itself makes them for its own user alone
    command += ["--dev-bind", "/dev/null", "/dev/null"]
    for outside, inside in box.inputs:
        command += ["--ro-bind", str(outside), inside]
    if box.output is not None:
        command += ["--bind", str(box.output[0]), box.output[1]]
    command += ["--remount-ro", "/", "--chdir", "/", "--clearenv"]
    for name, value in (("PATH", SEARCHED), ("LANG", "C.UTF-8"), ("MALLOC_ARENA_MAX", ARENAS), *box.environment):
        command += ["--setenv", name, value]
    return [*command, "--", *(unprivileged() if is_root else []), *limited(limits), *argv]


def unprivileged() -> list[str]:
    """Within the box of a root's controller: nobody, for good."""
    return [tool("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all",
            "--inh-caps=-all", "--no-new-privs"]  # fmt: skip


def limited(limits: Limits) -> list[str]:
    """The rlimits."""
    return [tool("prlimit"), f"--as={limits.memory_bytes}", f"--cpu={limits.cpu_s}", f"--fsize={limits.file_bytes}",
            f"--nofile={limits.files}", f"--stack={STACK_BYTES}", "--core=0"]  # fmt: skip


def run_boxed(
    argv: Sequence[str],
    box: Box,
    limits: Limits,
    *,
    tell: Callable[[bytes], None],
    look: Callable[[], None],
) -> None:
    """Run to its end. `tell` gets what it writes to stdout; `look` is called twice a second, and may raise: then it
    is ended, and nothing of it goes on.

    Raises `ToolMissing`, `ProgramFailed`, and what `tell` and `look` raise.
    """
    is_root = os.geteuid() == 0
    if is_root and box.output is not None:
        os.chown(box.output[0], NOBODY, NOBODY)
    links = {path: str(Path(path).readlink()) if Path(path).is_symlink() else "" for path in MERGED if exists(path)}
    command = boxed(argv, box, limits, is_root=is_root, links=links)
    doing = f"running {Path(argv[0]).name} {argv[1] if len(argv) > 1 else ''}".rstrip()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
        start_new_session=True,
    ) as process:
        try:
            stderr = _follow(process, doing, limits.wall_s, tell, look)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        said = " ".join(stderr.decode(errors="replace").split())
        ended = f"{_ending(process.returncode)}{'; it said: ' + said if said else ''}"
        raise ProgramFailed(doing, ended, process.returncode)


def exists(path: str) -> bool:
    """Whether it is there, as a link or not."""
    return os.path.lexists(path)


def _follow(
    process: subprocess.Popen[bytes],
    doing: str,
    wall_s: float,
    tell: Callable[[bytes], None],
    look: Callable[[], None],
) -> bytes:
    """Until both pipes are closed; the end of stderr."""
    assert process.stdout is not None
    assert process.stderr is not None
    deadline, stderr = time.monotonic() + wall_s, b""
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            selector.register(pipe, selectors.EVENT_READ)
        looked = 0.0
        while selector.get_map():
            for key, _ in selector.select(LOOK_S):
                piece = os.read(key.fd, PIECE_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    tell(piece)
                else:
                    stderr = (stderr + piece)[-STDERR_BYTES:]
            if time.monotonic() >= looked + LOOK_S:
                look()
                looked = time.monotonic()
            if looked > deadline:
                raise ProgramFailed(doing, f"not finished after {wall_s:.0f} s, ended")
    process.wait(LOOK_S * 20)
    return stderr


def _ending(status: int) -> str:
    """bwrap passes a signal on as 128 and its number."""
    number = -status if status < 0 else status - 128
    names = {int(one): one.name for one in signal.Signals}
    return f"ended by {names[number]}" if number in names else f"exit status {status}"
