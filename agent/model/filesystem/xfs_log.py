# SPDX-License-Identifier: Apache-2.0
"""The log of an XFS filesystem: whether it ends with the record of an unmount (fs/xfs/xfs_log_recover.c). Pure.

The log is a ring of 512-byte blocks. Each bears the number of the cycle it was written in; where that number falls
by one is the head, where the next record would go. Only a handful of blocks is read, however large the log is.
"""

from __future__ import annotations

import struct

from agent.model.filesystem import Read

BLOCK_BYTES = 512
MAGIC = 0xFEEDBABE
VERSION_2 = 2
CYCLE_BYTES = 32 * 1024
"""So much of a record's data one header block has the cycles of (XLOG_HEADER_CYCLE_SIZE)."""
UNMOUNT = 0x20  # XLOG_UNMOUNT_TRANS
LARGEST_RECORD_BLOCKS = 1024
"""256 KiB of data and its headers (XLOG_MAX_RECORD_BSIZE), with room to spare."""


def is_unmounted(read: Read, size_bytes: int) -> bool:
    """Whether nothing is to be recovered. In doubt, no. The offsets of `read` count from the log's beginning."""
    blocks = size_bytes // BLOCK_BYTES
    head = head_of(read, blocks)
    header_at = last_header(read, blocks, head)
    if header_at is None:
        return False
    header = read(header_at * BLOCK_BYTES, BLOCK_BYTES)
    version, length = struct.unpack_from(">II", header, 8)
    (operations,) = struct.unpack_from(">I", header, 40)
    (largest,) = struct.unpack_from(">I", header, 320)
    headers = max(-(-largest // CYCLE_BYTES), 1) if version & VERSION_2 else 1
    behind = header_at + headers + -(-length // BLOCK_BYTES)
    if operations != 1 or behind % blocks != head % blocks or headers > LARGEST_RECORD_BLOCKS:
        return False
    operation = read((header_at + headers) % blocks * BLOCK_BYTES, BLOCK_BYTES)
    return bool(operation[9] & UNMOUNT)


def cycle(read: Read, block: int) -> int:
    """The cycle that a block was written in: its first word, or a header's second (xlog_get_cycle)."""
    first, second = struct.unpack(">II", read(block * BLOCK_BYTES, 8))
    return int(second if first == MAGIC else first)


def head_of(read: Read, blocks: int) -> int:
    """The block behind the last one written (xlog_find_head): the first that bears an older cycle than block 0."""
    first = cycle(read, 0)
    if cycle(read, blocks - 1) == first:
        return blocks  # the ring is full to its end: the next record goes to block 0
    low, high = 0, blocks - 1  # block `low` is of the cycle, block `high` is not
    while high - low > 1:
        middle = (low + high) // 2
        if cycle(read, middle) == first:
            low = middle
        else:
            high = middle
    return high


def last_header(read: Read, blocks: int, head: int) -> int | None:
    """The newest record's header, looked for backward from the head."""
    for back in range(1, min(LARGEST_RECORD_BLOCKS, blocks) + 1):
        block = (head - back) % blocks
        if read(block * BLOCK_BYTES, 4) == MAGIC.to_bytes(4, "big"):
            return block
    return None
