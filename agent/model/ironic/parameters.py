# SPDX-License-Identifier: Apache-2.0
"""What Ironic tells its ramdisk at boot: words of the kernel command line, of virtual media, of configuration files.

Words are split at white space, a word at its first `=`; words without one say nothing, of two the last counts, and
nothing is quoted (ironic_python_agent/utils.py, _read_params_from_file). Every parameter of ironic-python-agent 13
(ironic_python_agent/config.py) is either in `FIELDS`, and done as it says, or in `OTHERS`, with what is done instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from agent.errors import ConfigError
from agent.model.frozen import Frozen, Secret, faults

PORT = 9999
DEFAULT_COLLECTORS = ("default", "logs")
MDNS = "mdns"
BASIC = "http_basic"
"""The one strategy of IPA's by which it logs in."""
VIRTUAL_MEDIA = "vmedia"
CA_FILE = "ca.pem"
"""In the agent's directory: the authorities that were named."""
FIELDS = {
    "ipa-api-url": "api_urls",
    "ipa-inspection-callback-url": "inspection_urls",
    "ipa-use-mdns": "use_mdns",
    "ipa-inspection-collectors": "collectors",
    "ipa-agent-token": "agent_token",
    "ipa-global-request-id": "request_id",
    "ipa-listen-host": "listen_host",
    "ipa-listen-port": "listen_port",
    "ipa-advertise-host": "advertise_host",
    "ipa-advertise-port": "advertise_port",
    "ipa-network-interface": "network_interface",
    "ipa-ip-lookup-attempts": "address_attempts",
    "ipa-ip-lookup-timeout": "address_pause_s",
    "ipa-lookup-timeout": "lookup_timeout_s",
    "ipa-lookup-interval": "lookup_interval_s",
    "ipa-http-request-timeout": "answer_timeout_s",
    "ipa-ironic-api-version": "api_version",
    "ipa-insecure": "insecure",
    "ipa-tls-min-version": "tls_min_version",
    "ipa-tls-cipher-suites": "tls_ciphers",
    "ipa-tls-certificate-curve": "tls_curve",
    "ipa-debug": "debug",
    "ipa-inspection-dhcp-wait-timeout": "dhcp_wait_s",
    "ipa-inspection-dhcp-all-interfaces": "dhcp_all",
    "ipa-collect-lldp": "collect_lldp",
    "ipa-lldp-timeout": "lldp_timeout_s",
    "ipa-enable-vlan-interfaces": "vlans",
    "ipa-hardware-initialization-delay": "hardware_delay_s",
    "ipa-disk-wait-attempts": "disk_attempts",
    "ipa-disk-wait-delay": "disk_pause_s",
    "ipa-ignore-bootloader-failure": "needs_no_boot_entry",
    "ipa-inject-files-priority": "inject_priority",
    "ipa-guard-special-filesystems": "guards_shared",
    "ipa-ntp-server": "ntp_server",
    "ipa-fail-if-clock-not-set": "needs_clock",
    "ipa-cafile": "ca_file",
    "ipa-certfile": "certificate_file",
    "ipa-keyfile": "key_file",
    "ipa-image-server-auth-strategy": "image_strategy",
    "ipa-image-server-user": "image_user",
    "ipa-image-server-password": "image_password",
    "BOOTIF": "boot_interface",
    "boot_method": "boot_method",
    "ir_pub_id": "publisher_id",
}
OTHERS = {
    "ipa-advertise-protocol": "Ironic calls this agent by https, always",
    "ipa-image-download-connection-timeout": "a server that is silent for a minute is asked again",
    "ipa-image-download-connection-retries": "a download goes on for half an hour of silence, from the byte it was at",
    "ipa-image-download-connection-retry-interval": "pauses grow from one second to thirty",
    "ipa-image-download-max-duration": "a download has no end but half an hour of silence",
    "ipa-inspection-benchmarks": "no benchmark is run: it would take minutes of every inspection",
    "ipa-enable-discard-erase": "a disk is erased by what it guarantees, and by zeroes where it guarantees nothing",
    "boot_server": "it is not needed: who served the boot is not called again",
    # of configuration files alone
    "ipa-listen-tls": "the API is served over TLS, always",
    "ipa-enable-auto-tls": "the API is served over TLS, always",
    "ipa-tls-cert-file": "the API's certificate is made anew in every boot, and Ironic told of it",
    "ipa-tls-key-file": "the API's certificate is made anew in every boot, and Ironic told of it",
    "ipa-auto-tls-allowed-clock-skew": "the API's certificate is valid for ever, and ends with its key",
    "ipa-md5-enabled": "an image's digest is SHA-256 or SHA-512",
    "ipa-permitted-image-formats": "raw and QCOW2 are written, and nothing else",
    "ipa-disable-deep-image-inspection": "an image is read by this agent's own code alone, always looked into first",
    "ipa-config-drive-rebuild": "a config drive is written as it came",
    "ipa-disable-bootc-deploy": "there is no deployment by bootc",
    "ipa-enable-bios-bootloader-install": "nothing of an image is run: it brings its own loader",
}
"""What is known, and not followed."""
OVERRIDES = ("ipa-inspection-callback-url", "ipa-ntp-server")
"""What multicast DNS, where anybody may answer, may say beside where the API is ([mdns]allowed_overrides)."""
TRUE = frozenset({"1", "true", "yes", "on", "t", "y"})
FALSE = frozenset({"0", "false", "no", "off", "f", "n"})
MAC = re.compile(r"(?:01-)?([0-9a-f]{2}(?:[-:][0-9a-f]{2}){5})")


def listed(text: object) -> object:
    """`a,b` is a list."""
    return tuple(one.strip() for one in text.split(",") if one.strip()) if isinstance(text, str) else text


def judged(text: object) -> object:
    """As OpenStack reads it (oslo_utils.strutils); pydantic refuses what it is not."""
    return text.strip().lower() in TRUE if isinstance(text, str) and text.strip().lower() in TRUE | FALSE else text


Words = Annotated[tuple[str, ...], BeforeValidator(listed)]
Flag = Annotated[bool, BeforeValidator(judged)]


class Parameters(Frozen):
    """What of it concerns us.

    api_urls         Ironic's API, tried in this order; where there is none, the machine is inspected and no more;
                     `mdns`: whoever says so on the network
    inspection_urls  where the inspection is posted; where there is none, and no collector was named, it is not
    boot_interface   the NIC that the firmware booted by, as the boot loader wrote it
    ca_pem           the only authorities that are trusted, for the API and for images: the content of `ca_file`
    client_pem       certificate and key by which we are known to the API
    """

    api_urls: Words = ()
    inspection_urls: Words = ()
    use_mdns: Flag = False
    collectors: Words = ()
    agent_token: Secret | None = None
    request_id: str | None = Field(default=None, max_length=256)
    listen_host: str | None = None
    listen_port: int = Field(default=PORT, ge=1, le=65535)
    advertise_host: str | None = None
    advertise_port: int | None = Field(default=None, ge=1, le=65535)
    network_interface: str | None = None
    address_attempts: int = Field(default=6, ge=1)
    address_pause_s: float = Field(default=10.0, ge=0)
    lookup_timeout_s: float = Field(default=600.0, gt=0)
    lookup_interval_s: float = Field(default=1.0, gt=0, le=60)
    answer_timeout_s: float = Field(default=30.0, gt=0)
    api_version: str | None = Field(default=None, pattern=r"^1\.\d{1,4}$")
    insecure: Flag = False
    tls_min_version: Literal["1.2", "1.3"] = "1.2"
    tls_ciphers: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_:,+!@=-]+$")
    tls_curve: Literal["p256", "p384", "p521"] = "p384"
    debug: Flag = False
    lldp_timeout_s: float = Field(default=30.0, ge=0)
    collect_lldp: Flag = False
    dhcp_wait_s: float = Field(default=60.0, ge=0)
    dhcp_all: Flag = False
    vlans: Words = ()
    hardware_delay_s: float = Field(default=0.0, ge=0, le=3600)
    disk_attempts: int = Field(default=10, ge=0, le=10_000)
    disk_pause_s: float = Field(default=3.0, ge=0, le=3600)
    needs_no_boot_entry: Flag = False
    inject_priority: int = Field(default=0, ge=0, le=99)
    guards_shared: Flag = True
    ntp_server: str | None = Field(default=None, pattern=r"^[A-Za-z0-9:][A-Za-z0-9.:_-]{0,252}$")
    needs_clock: Flag = False
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    image_strategy: str | None = None
    image_user: str | None = None
    image_password: Secret | None = None
    ca_pem: str | None = None
    client_pem: Secret | None = None
    boot_interface: str | None = None
    boot_method: str | None = None
    publisher_id: str | None = None

    @field_validator("api_urls", "inspection_urls")
    @classmethod
    def _are_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if urls == (MDNS,):
            return urls
        for url in urls:
            if not re.match(r"https?://[^\s/]", url):
                raise ValueError(f"{url} is no http:// or https:// URL, nor {MDNS}")
        return tuple(url.rstrip("/") for url in urls)

    @property
    def boot_mac(self) -> str | None:
        """Of `boot_interface`: pxelinux writes `01-aa-bb-…`, iPXE `aa:bb:…`."""
        found = MAC.fullmatch((self.boot_interface or "").lower())
        return found.group(1).replace("-", ":") if found else None

    @property
    def image_login(self) -> tuple[str, str] | None:
        """User and password for images with which Ironic sends none; what is missing of them is empty."""
        if self.image_strategy != BASIC:
            return None
        return self.image_user or "", self.image_password.get_secret_value() if self.image_password else ""

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


def ciphers_of_1_2(ciphers: str | None) -> str | None:
    """OpenSSL's list for TLS 1.2; commas are taken, too. Suites of TLS 1.3 are no matter of choice: all are good."""
    names = [one for one in re.split("[:, ]+", ciphers or "") if one and not one.startswith("TLS_")]
    return ":".join(names) or None


def is_true(text: str | None) -> bool:
    """Of a word that stands alone."""
    return judged(text) is True


def words_of(text: str) -> dict[str, str]:
    """Name → value."""
    return {name: value for name, sign, value in (word.partition("=") for word in text.split()) if sign}


def is_for_ironic(words: Mapping[str, str]) -> bool:
    """Whether Ironic booted this kernel. Virtual media has more to say, perhaps all."""
    asked = words.get("ipa-api-url") or words.get("ipa-inspection-callback-url")
    return bool(asked or is_true(words.get("ipa-use-mdns")) or words.get("boot_method") == VIRTUAL_MEDIA)


def parsed(words: Mapping[str, str]) -> Parameters:
    """What they say. A value that is empty is none. Raises `ConfigError`, which names what is wrong."""
    try:
        return Parameters.model_validate({field: words[name] for name, field in FIELDS.items() if words.get(name)})
    except ValidationError as error:
        raise ConfigError("reading what Ironic told this machine at boot", faults(error)) from None


def not_followed(words: Mapping[str, str]) -> dict[str, str]:
    """What was said and is not done, by name, with what is done instead."""
    unknown = {name: "it is not known here" for name in words if name.startswith("ipa-") and name not in FIELDS}
    return {**unknown, **{name: why for name, why in OTHERS.items() if name in words}}


def parameters(cmdline: str) -> Parameters | None:
    """Of a kernel that Ironic booted; None of any other. Raises `ConfigError`."""
    words = words_of(cmdline)
    return parsed(words) if is_for_ironic(words) else None
