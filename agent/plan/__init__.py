# SPDX-License-Identifier: Apache-2.0
"""Floor 2, deciding: `(observed, asked for) → Plan`. Pure: no clock, no random, no I/O; ids and paths are passed in."""
