# SPDX-License-Identifier: Apache-2.0
"""Foreign images become chunked ones here: fetched, looked at, converted in a sandbox, packed.

    kinds.py      what is imported at all, and what a file's own head and tail already say against it
    sandbox.py    the only place that starts processes: bubblewrap, limits, a clock
    qemu.py       argv and answers of qemu-img
    download.py   a URL into a file
    convert.py    one import, from its file to a whole chunked image

Nothing here knows the database: what happens to an image's record is `flow/imports.py`'s.
"""
