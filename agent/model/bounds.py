# SPDX-License-Identifier: Apache-2.0
"""The largest numbers that are kept. JSON knows none, and databases do: whoever says a larger one is told which it was.

In the models of what is said, not of what is kept: what an earlier release took can still be read.
"""

from __future__ import annotations

MOST = 2**31 - 1
"""Of anything that is counted: a whole number of every database, and more than there is of anything in a machine."""
MOST_BYTES = 2**63 - 1
"""Of a length: larger than any file or disk can be."""
MOST_RAISED = 10**9
"""Of a generation that somebody sets by hand: there is room for those that come after it."""
