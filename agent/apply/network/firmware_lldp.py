# SPDX-License-Identifier: Apache-2.0
"""Intel's X710 family has an LLDP agent in its firmware, which keeps all that switches say to itself. It is stopped for
this boot, by the driver's debugfs file: ethtool's flag for the same resets the NIC, and on newer families it outlives
the boot, which is not ours to decide.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.errors import HostError
from agent.host.doors import Host
from agent.model.fact import known
from agent.model.network import Nic
from agent.program.log import Logger

DRIVER = "i40e"
DEBUG = "/sys/kernel/debug"
log = Logger("lldp")


def stop_firmware_lldp(host: Host, nics: Sequence[Nic]) -> None:
    """On the NICs that have one. Where it cannot be stopped, that is logged: their switches will be silent."""
    functions = [pci for nic in nics if known(nic.driver) == DRIVER and (pci := known(nic.pci_address)) is not None]
    if not functions:
        return
    try:
        if not host.files.exists(f"{DEBUG}/{DRIVER}"):
            host.run(["mount", "-t", "debugfs", "debugfs", DEBUG])
        for function in functions:
            host.files.tell(f"{DEBUG}/{DRIVER}/{function}/command", "lldp stop")
    except HostError as error:
        log.warning("the NICs' firmware keeps LLDP to itself", nics=functions, error=str(error))
