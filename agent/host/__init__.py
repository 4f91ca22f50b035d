# SPDX-License-Identifier: Apache-2.0
"""Floor 1, doors: the only code that touches the operating system. One module per kind of effect.

`doors.py` says what each door promises; the other modules are the real ones, and `fake.py` is a recorded machine.
"""
