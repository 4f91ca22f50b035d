# SPDX-License-Identifier: Apache-2.0
"""`python -m agent`: the command `bms-agent`, where it is not installed as one."""

from __future__ import annotations

from agent.cli import main

if __name__ == "__main__":
    main()
