# SPDX-License-Identifier: Apache-2.0
"""Every parser of bytes that others made, in one table: whatever they are, it gives a value or refuses, and soon.

A row is a parser with real samples (`row.py`); `table.py` has them all, from one file a kind of bytes; `test_fuzz.py`
damages the samples: some thousand times each in the ordinary run, a million times behind `tests/run long`.
"""
