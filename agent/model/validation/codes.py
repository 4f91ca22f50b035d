# SPDX-License-Identifier: Apache-2.0
"""What a verdict's code means to whoever has to do something about it. Codes are stable: programs go by them.

A test that could not be carried out because of an error has that error's code (`agent.errors`).
"""

from __future__ import annotations

PASSED = "OK"
NOT_APPLICABLE = "TEST.NOT_APPLICABLE"
TIME_OVER = "TEST.TIME_OVER"
UNKNOWN = "TEST.UNKNOWN"
HANGS = "TEST.HANGS"
CPU_WRONG = "CPU.WRONG_RESULT"
CPU_UNEVEN = "CPU.UNEVEN"
CPU_HOT = "CPU.HOT"
THROTTLED = "CPU.THROTTLED"
MACHINE_CHECK = "CPU.MACHINE_CHECK"
MEMORY_WRONG = "MEMORY.WRONG_DATA"
MEMORY_SLOW = "MEMORY.SLOW"
CORRECTED = "MEMORY.CORRECTED_ERRORS"
UNCORRECTED = "MEMORY.UNCORRECTED_ERRORS"
BUS_CORRECTED = "BUS.CORRECTED_ERRORS"
BUS_UNCORRECTED = "BUS.UNCORRECTED_ERRORS"
DISK_GONE = "DISK.GONE"
DISK_FAILING = "DISK.FAILING"
DISK_WORN = "DISK.WORN"
SELF_TEST_FAILED = "DISK.SELF_TEST_FAILED"
READ_ERROR = "DISK.READ_ERROR"
DISK_WRONG = "DISK.WRONG_DATA"
DISK_SLOW = "DISK.SLOW"
DISK_STALLS = "DISK.STALLS"
DISK_LINK = "DISK.LINK_BELOW_BEST"
NO_CARRIER = "NETWORK.NO_CARRIER"
NIC_LINK = "NETWORK.LINK_BELOW_BEST"
NIC_BUS = "NETWORK.BUS_BELOW_BEST"
NIC_ERRORS = "NETWORK.ERRORS"
GATEWAY_SILENT = "NETWORK.GATEWAY_SILENT"
LOSS = "NETWORK.LOSS"
MTU = "NETWORK.MTU"

CODES: dict[str, str] = {
    PASSED: "Nothing to do.",
    NOT_APPLICABLE: "Nothing to do: this machine has nothing to be tested so, or the request leaves it out.",
    TIME_OVER: "Give it more time (--time-limit, or the test's own settings): nothing is known of it now.",
    UNKNOWN: "Look at why it could not be asked; as long as that is so, nothing is known of it.",
    HANGS: "See the kernel's log (dmesg) for the device that does not answer; reseat or replace it.",
    CPU_WRONG: "Take the machine out of service, and replace the processor that is named.",
    CPU_UNEVEN: "Look at cooling, power limits and firmware settings; repeat it while nothing else runs.",
    CPU_HOT: "Look at fans, air flow and the heat sink's seat.",
    THROTTLED: "Look at fans, air flow, heat sinks and power supplies: it is slower than it was paid for.",
    MACHINE_CHECK: "Decode the kernel's log (dmesg, rasdaemon), and replace the part that it names.",
    MEMORY_WRONG: "Take the machine out of service, and replace the module at that address.",
    MEMORY_SLOW: "Compare the modules' slots and speeds (bms-agent inventory) with those of a machine that is well.",
    CORRECTED: "Replace the module that is named before its errors cannot be corrected any more.",
    UNCORRECTED: "Take the machine out of service, and replace the module that is named.",
    BUS_CORRECTED: "Reseat the card, or the cable of its riser; then replace it.",
    BUS_UNCORRECTED: "Take the machine out of service; reseat, then replace the card that is named.",
    DISK_GONE: "See the kernel's log (dmesg) for when it went; reseat it and its cable, then replace it.",
    DISK_FAILING: "Save what is on it, and replace it.",
    DISK_WORN: "Plan its replacement, and keep it from what writes much.",
    SELF_TEST_FAILED: "Save what is on it, and replace it: it found the fault itself.",
    READ_ERROR: "Save what is on it, and replace it; look at its cable and backplane, if several fail at once.",
    DISK_WRONG: "Take it out of service: it does not return what was written.",
    DISK_SLOW: "Compare its firmware, link and health with its siblings'; repeat it while nobody else uses it.",
    DISK_STALLS: "Look at its health: a disk that takes seconds for a read is trying again and again.",
    DISK_LINK: "Reseat the disk and its cable; then try another slot.",
    NO_CARRIER: "Look at cable, transceiver and the switch's port.",
    NIC_LINK: "Look at cable, transceiver, and the speed that the switch's port is set to.",
    NIC_BUS: "Reseat the card; look whether its slot has as many lanes as the card.",
    NIC_ERRORS: "Clean or replace cable and transceiver; look at the switch's counters of that port.",
    GATEWAY_SILENT: "Look at the VLANs of the switch's port, and at the gateway.",
    LOSS: "Look at cable, transceiver and the switch's counters; repeat it while the network is idle.",
    MTU: "Make the MTUs of the switch's port, the gateway and this machine one and the same.",
}
