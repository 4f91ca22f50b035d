# SPDX-License-Identifier: Apache-2.0
"""The kernel command line as Ironic writes it (ironic/drivers/modules/ipxe_config.template, inspector/interface.py).

Words are split at white space, a word at its first `=`; words without one say nothing, and of two the last counts
(ironic_python_agent/utils.py, _read_params_from_file).
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, ValidationError, field_validator

from agent.errors import ConfigError
from agent.model.frozen import Frozen, Secret, faults

PORT = 9999
DEFAULT_COLLECTORS = ("default", "logs")
FIELDS = {
    "ipa-api-url": "api_urls",
    "ipa-inspection-callback-url": "inspection_urls",
    "ipa-inspection-collectors": "collectors",
    "ipa-agent-token": "agent_token",
    "ipa-global-request-id": "request_id",
    "ipa-listen-host": "listen_host",
    "ipa-listen-port": "listen_port",
    "ipa-advertise-host": "advertise_host",
    "ipa-advertise-port": "advertise_port",
    "ipa-insecure": "insecure",
    "ipa-lookup-timeout": "lookup_timeout_s",
    "ipa-lldp-timeout": "lldp_timeout_s",
    "ipa-collect-lldp": "collect_lldp",
    "ipa-inspection-dhcp-wait-timeout": "dhcp_wait_s",
    "ipa-ignore-bootloader-failure": "needs_no_boot_entry",
    "BOOTIF": "boot_interface",
    "boot_method": "boot_method",
}
TRUE = frozenset({"1", "true", "yes", "on", "t", "y"})
MAC = re.compile(r"(?:01-)?([0-9a-f]{2}(?:[-:][0-9a-f]{2}){5})")


class Parameters(Frozen):
    """What of it concerns us.

    api_urls         Ironic's API, tried in this order; where there is none, the machine is inspected and no more
    inspection_urls  where the inspection is posted; where there is none, and no collector was named, it is not
    boot_interface   the NIC that the firmware booted by, as the boot loader wrote it
    """

    api_urls: tuple[str, ...] = ()
    inspection_urls: tuple[str, ...] = ()
    collectors: tuple[str, ...] = ()
    agent_token: Secret | None = None
    request_id: str | None = Field(default=None, max_length=256)
    listen_host: str | None = None
    listen_port: int = Field(default=PORT, ge=1, le=65535)
    advertise_host: str | None = None
    advertise_port: int | None = Field(default=None, ge=1, le=65535)
    insecure: bool = False
    lookup_timeout_s: float = Field(default=600.0, gt=0)
    lldp_timeout_s: float = Field(default=30.0, ge=0)
    collect_lldp: bool = False
    dhcp_wait_s: float = Field(default=60.0, ge=0)
    needs_no_boot_entry: bool = False
    boot_interface: str | None = None
    boot_method: str | None = None

    @field_validator("api_urls", "inspection_urls")
    @classmethod
    def _are_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not re.match(r"https?://[^\s/]", url):
                raise ValueError(f"{url} is no http:// or https:// URL (multicast DNS is not supported: name the API)")
        return tuple(url.rstrip("/") for url in urls)

    @property
    def boot_mac(self) -> str | None:
        """Of `boot_interface`: pxelinux writes `01-aa-bb-…`, iPXE `aa:bb:…`."""
        found = MAC.fullmatch((self.boot_interface or "").lower())
        return found.group(1).replace("-", ":") if found else None

    @property
    def inspects(self) -> bool:
        """Whether an inspection is asked for."""
        return bool(self.inspection_urls or (self.collectors and self.api_urls))

    @property
    def callbacks(self) -> tuple[str, ...]:
        """Where the inspection goes."""
        return self.inspection_urls or tuple(f"{url}/v1/continue_inspection" for url in self.api_urls)

    @property
    def collected(self) -> tuple[str, ...]:
        """The collectors to run."""
        names = self.collectors or DEFAULT_COLLECTORS
        return (*names, "lldp") if self.collect_lldp and "lldp" not in names else names


def parameters(cmdline: str) -> Parameters | None:
    """Of a kernel that Ironic booted; None of any other. Raises `ConfigError`, which names what is wrong."""
    words = {name: value for name, sign, value in (word.partition("=") for word in cmdline.split()) if sign}
    if not {"ipa-api-url", "ipa-inspection-callback-url"} & set(words):
        return None
    given: dict[str, Any] = {field: words[name] for name, field in FIELDS.items() if words.get(name)}
    for field in ("api_urls", "inspection_urls", "collectors"):
        if field in given:
            given[field] = tuple(one for one in given[field].split(",") if one)
    for field in ("insecure", "collect_lldp", "needs_no_boot_entry"):
        if field in given:
            given[field] = given[field].lower() in TRUE
    try:
        return Parameters(**given)
    except ValidationError as error:
        raise ConfigError("reading Ironic's part of the kernel command line", faults(error)) from None
