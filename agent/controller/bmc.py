# SPDX-License-Identifier: Apache-2.0
"""The machines' power switches: Redfish (DMTF DSP0266), the calls that are needed.

Never called within a transaction: a BMC may take its time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

import requests
from requests.exceptions import RequestException
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from agent.controller.records.job import Reset
from agent.controller.records.node import Bmc, Power
from agent.errors import LinkError

TIMEOUT_S = (5.0, 20.0)
TRIES = 3
PAUSE_S = 2.0
OFF_LOOKS = 5
FROM_NETWORK = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}}


class BmcError(LinkError):
    """The BMC did not do what it was told."""

    code = "BMC.ERROR"
    advice = "Check the BMC's address, user and password, and that it answers from the controller."


class PowerDriver(Protocol):
    """Switches machines."""

    def state(self, bmc: Bmc) -> Power:
        """Whether the machine is on. Raises `BmcError`."""
        ...

    def reset(self, bmc: Bmc, reset: Reset) -> None:
        """Tell it. Raises `BmcError`."""
        ...

    def switch_off(self, bmc: Bmc) -> Power:
        """Off by force, and looked at for a while; its power then. Raises `BmcError`."""
        ...

    def boot_from_network(self, bmc: Bmc) -> None:
        """The next time that it is switched on, whatever its firmware's own order is. Raises `BmcError`."""
        ...


class Redfish:
    """The real one."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._retrying = Retrying(
            retry=retry_if_exception_type(BmcError),
            stop=stop_after_attempt(TRIES),
            wait=wait_fixed(pause_s),
            reraise=True,
        )

    def state(self, bmc: Bmc) -> Power:
        """`PowerState` of the system; while it changes, it is unknown."""
        try:
            state = self._call("GET", bmc, bmc.address).json()["PowerState"]
        except (ValueError, KeyError, TypeError) as error:
            raise BmcError(f"reading the power state at {bmc.address}", "the answer has no PowerState") from error
        return Power(state) if state in ("On", "Off") else Power.UNKNOWN

    def reset(self, bmc: Bmc, reset: Reset) -> None:
        """`ComputerSystem.Reset`."""
        url = f"{bmc.address.rstrip('/')}/Actions/ComputerSystem.Reset"
        self._call("POST", bmc, url, {"ResetType": reset.value})

    def switch_off(self, bmc: Bmc) -> Power:
        """`ForceOff`, unless it is off."""
        power = self.state(bmc)
        if power is Power.OFF:
            return power
        self.reset(bmc, Reset.FORCE_OFF)
        for _ in range(OFF_LOOKS):
            if (power := self.state(bmc)) is Power.OFF:
                return power
            time.sleep(self._pause_s)
        return power

    def boot_from_network(self, bmc: Bmc) -> None:
        """`BootSourceOverrideTarget`, once; some BMCs take a change only of what was just read."""
        seen = self._call("GET", bmc, bmc.address)
        etag = seen.headers.get("ETag")
        self._call("PATCH", bmc, bmc.address, FROM_NETWORK, {"If-Match": etag} if etag else None)

    def _call(
        self,
        method: str,
        bmc: Bmc,
        url: str,
        body: Mapping[str, object] | None = None,
        more: dict[str, str] | None = None,
    ) -> requests.Response:
        return self._retrying(self._once, method, bmc, url, body, more)

    def _once(
        self, method: str, bmc: Bmc, url: str, body: Mapping[str, object] | None, more: dict[str, str] | None
    ) -> requests.Response:
        doing = f"calling {method} {url}"
        try:
            response = requests.request(
                method,
                url,
                json=body,
                headers=more,
                auth=(bmc.username, bmc.password.get_secret_value()),
                timeout=TIMEOUT_S,
                verify=bmc.verify_tls,
                allow_redirects=False,
            )
        except RequestException as error:
            raise BmcError(doing, type(error).__name__) from error
        if not 200 <= response.status_code < 300:
            raise BmcError(doing, f"the BMC answered {response.status_code}")
        return response
