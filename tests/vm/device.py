# SPDX-License-Identifier: Apache-2.0
"""A `CachedDisk` as a block device of this machine's kernel, without a guest: a loop device on a file that QEMU's
storage daemon shows over FUSE, and serves from our NBD server. Each flush of the kernel's arrives there.

The device vanishes when the daemon is killed: what is under way there ends with EIO, as on a disk that is pulled out.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.loops import command
from tests.vm.nbd import DiskServer

READY_S = 120
POLL_S = 0.05


class Device:
    """The device, for as long as the block."""

    def __init__(self, node: str, daemon: subprocess.Popen[bytes]) -> None:
        self.node = node
        self._daemon = daemon

    def pull_out(self) -> None:
        """Nothing that is asked of it is answered any more, but with an error."""
        self._daemon.kill()
        self._daemon.wait()


@contextmanager
def device(server: DiskServer, folder: Path) -> Iterator[Device]:
    """A new one. At the end it is gone, whoever still uses it."""
    file = folder / "shown"
    file.touch()
    argv = ["qemu-storage-daemon",
            "--blockdev", f"driver=nbd,node-name=disk,discard=unmap,server.type=unix,server.path={server.path}",
            "--export", f"type=fuse,id=shown,node-name=disk,mountpoint={file},writable=on,allow-other=off"]  # fmt: skip
    with ExitStack() as stack:
        daemon = stack.enter_context(subprocess.Popen(argv))
        stack.callback(subprocess.run, ["umount", "--lazy", str(file)], check=False, capture_output=True)
        stack.callback(daemon.kill)
        end = time.monotonic() + READY_S
        while file.stat().st_size != server.disk.size_bytes:
            assert daemon.poll() is None and time.monotonic() < end, "the storage daemon shows nothing"
            time.sleep(POLL_S)
        node = command("losetup", "--find", "--show", "--partscan", str(file)).strip()
        stack.callback(command, "losetup", "--detach", node)
        yield Device(node, daemon)
