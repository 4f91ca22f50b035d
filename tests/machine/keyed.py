# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest, under the restrictions of the service: keyed.py open | ask | clear | PUBLIC prints, as JSON, by
which keys the node would call, in order; PUBLIC is the key that its controller knows, and takes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from threading import Event

from agent.host.real import host as open_host
from agent.link.sealed import OF_KEYS, ServiceKeys
from agent.model.hardware.tpm_owner import LOCKOUT, clear, refusal

DIRECTORY = "/var/lib/bms-agent"


def main(what: str) -> None:
    """One process of the agent's."""
    host = open_host()
    if what == "clear":
        sys.stdout.write(json.dumps({"refusal": refusal(host.tpm.clear(clear(LOCKOUT)))}))
        return
    keys, found = ServiceKeys(host, DIRECTORY), []
    for key in [keys.open(Event())] if what == "open" else keys.all():
        found.append([key.public, key.fault.code if key.fault else None])
        if key.public == what:
            keys.take(key)
    sys.stdout.write(json.dumps({"keys": found, "files": [name for name in OF_KEYS if Path(DIRECTORY, name).exists()]}))
    sys.stdout.flush()  # a TPM that does not answer holds up the end of the process, too


if __name__ == "__main__":
    main(sys.argv[1])
