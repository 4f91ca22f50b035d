# SPDX-License-Identifier: Apache-2.0
"""An append-only file of records, each on a line with its checksum: `crc32 json`.

A record is on the medium when `append` returns. A tail torn by a crash is dropped at the next start; everything before
it holds. A damaged line in the MIDDLE is not a torn tail: it is refused, since what follows it may depend on it.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from agent.errors import DecodeError, HostError
from agent.host.doors import Files
from agent.model.frozen import Frozen
from agent.program.log import Logger

Record = TypeVar("Record", bound=Frozen)
log = Logger("job")


class Log(Generic[Record]):
    """One file of records of one union. Raises `HostError` where the file system fails."""

    def __init__(self, files: Files, path: str, records: TypeAdapter[Record]) -> None:
        self._files = files
        self._path = path
        self._records = records

    def append(self, record: Record) -> None:
        """Add one record, durably."""
        self._files.append(self._path, frame(record))

    def compact(self, records: list[Record]) -> bool:
        """Rewrite the whole file atomically, if there is room; whether it is so now. What is so already is not written.
        A full disk must keep nobody from starting, nor from delivering what would make room.
        """
        data = b"".join(frame(record) for record in records)
        try:
            if not self._files.exists(self._path) or self._files.read_bytes(self._path) != data:
                self._files.write(self._path, data, mode=0o600)
        except HostError as error:
            log.warning("what is over is not cleared away", path=self._path, error=str(error))
            return False
        return True

    def replay(self) -> list[Record]:
        """Every record, in order; cuts a torn tail off. Raises `DecodeError` on damage elsewhere."""
        records, intact_bytes, length_bytes = self._read()
        if intact_bytes < length_bytes:
            self._files.truncate(self._path, intact_bytes)
        return records

    def peek(self) -> list[Record]:
        """The same, and nothing is touched: what looks torn may be what another process is just writing."""
        return self._read()[0]

    def readable(self) -> list[Record]:
        """Every record that is whole and known, wherever it stands: of a file that `replay` refuses."""
        found: list[Record] = []
        for line in self._files.read_bytes(self._path).splitlines(keepends=True):
            for body in unframe(line)[0]:
                with suppress(ValidationError):
                    found.append(self._records.validate_json(body))
        return found

    def _read(self) -> tuple[list[Record], int, int]:
        if not self._files.exists(self._path):
            return [], 0, 0
        data = self._files.read_bytes(self._path)
        bodies, intact_bytes = unframe(data)
        if b"\n" in data[intact_bytes:-1]:
            raise DecodeError(f"reading {self._path}", f"damaged at byte {intact_bytes}, before its end")
        try:
            return [self._records.validate_json(body) for body in bodies], intact_bytes, len(data)
        except ValidationError as error:
            raise DecodeError(
                f"reading {self._path}", f"a record of another version: {error.error_count()} faults"
            ) from None


def frame(record: Frozen) -> bytes:
    """A record as a line."""
    body = record.model_dump_json().encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def unframe(data: bytes) -> tuple[list[bytes], int]:
    """The bodies of all intact lines from the beginning, and how many bytes they take."""
    bodies: list[bytes] = []
    position = 0
    while (end := data.find(b"\n", position)) >= 0:
        checksum, _, body = data[position:end].partition(b" ")
        if checksum != b"%08x" % zlib.crc32(body):
            break
        bodies.append(body)
        position = end + 1
    return bodies, position
