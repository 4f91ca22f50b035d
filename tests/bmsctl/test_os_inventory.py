# SPDX-License-Identifier: Apache-2.0
"""What a server's own OS sees of the hardware, beside what its ramdisk saw."""

from __future__ import annotations

from datetime import UTC, datetime

from agent.bmsctl.inventory import seen_otherwise
from agent.inventory import take
from tests.inventory import equipped

AT = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)


def test_what_is_another() -> None:
    """A NIC that is gone is named; where all is as it was, that is said; who told nothing is passed over."""
    host = equipped.host()
    before = take(host)
    del host.machine.links["eno2"]
    now = take(host)
    gone = seen_otherwise(before, now, AT)

    assert gone is not None and len(gone) == 2 and gone[0].startswith("NIC ") and gone[0].endswith(" is gone")
    assert seen_otherwise(now, before, AT) == (gone[0].replace("gone", "new"), f"at {AT}")
    assert seen_otherwise(before, before, AT) == ("nothing is another", f"at {AT}")
    assert seen_otherwise(before, None, None) is None
