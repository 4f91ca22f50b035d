# SPDX-License-Identifier: Apache-2.0
"""Planning `power.reboot` and `power.off`: nothing but an end of this boot, once it was reported."""

from __future__ import annotations

from agent.model.plan import Epilogue, Plan
from agent.model.request import PowerOffRequest, RebootRequest


def plan_power(request: RebootRequest | PowerOffRequest) -> Plan:
    """No steps, one epilogue."""
    match request:
        case RebootRequest():
            return Plan(epilogue=Epilogue.REBOOT)
        case PowerOffRequest():
            return Plan(epilogue=Epilogue.POWER_OFF)
