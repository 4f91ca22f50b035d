# SPDX-License-Identifier: Apache-2.0
"""Opening the ramdisk to the machine's owner: an account `rescue` with their password, at the consoles and by ssh.

The agent's sandbox has no /etc to write to, so it only orders: a file below /run, for which a unit of the ramdisk waits
(images/build/ramdisk/overlay: bms-rescue.path). That unit makes the account and the host keys, and then the mark, as
ironic-python-agent's ramdisks have it. The agent does nothing more in this boot.
"""

from __future__ import annotations

import re
from threading import Event

from agent.errors import InputError, NotAsObserved
from agent.host.doors import Host

ORDER = "/run/bms-agent/rescue"
MARK = "/etc/.rescued"
PATIENCE_S = 45.0
PAUSE_S = 0.2
ELSEWHERE = "See bms-rescue.service in the journal; only a ramdisk built by images/ramdisk has it."
B64 = "[./0-9A-Za-z]"
HASH = re.compile(
    rf"\$5\$(rounds=[0-9]{{4,9}}\$)?{B64}{{1,16}}\${B64}{{43}}"
    rf"|\$6\$(rounds=[0-9]{{4,9}}\$)?{B64}{{1,16}}\${B64}{{86}}"
    rf"|\$(y|gy)\${B64}{{1,24}}\${B64}{{1,86}}\${B64}{{43}}"
    rf"|\$2[aby]\$[0-9]{{2}}\${B64}{{53}}"
)
"""crypt(5): sha256crypt, sha512crypt, yescrypt and its GOST kind, bcrypt. Nothing that ends a field or a line."""


def open_rescue(host: Host, password_hash: str) -> None:
    """Returns once the account can be used. Raises `InputError` for what is no hash, without repeating it;
    `NotAsObserved` if nobody obeys.
    """
    if not HASH.fullmatch(password_hash):
        raise InputError("opening the rescue account", "the password is not a hash of crypt(5)")
    if host.files.exists(MARK):
        return
    host.files.write(ORDER, f"{password_hash}\n".encode(), mode=0o600)
    deadline_s = host.clock.monotonic_s() + PATIENCE_S
    while not host.files.exists(MARK):
        if host.clock.monotonic_s() >= deadline_s:
            host.files.remove(ORDER)
            raise NotAsObserved("opening the rescue account", f"not done after {PATIENCE_S:g} s", hint=ELSEWHERE)
        host.clock.wait(Event(), PAUSE_S)
