# SPDX-License-Identifier: Apache-2.0
"""How a controller runs: what `bms-agent controller` was told."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from agent.model.frozen import Frozen


def address_of(where: str) -> tuple[str, int]:
    """Address and port."""
    host, _, port = where.rpartition(":")
    return host.strip("[]"), int(port)


def host_of(url: str) -> str:
    """As it stands in the URL, without the port."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


class Options(Frozen):
    """Options of one process; the names on the command line are these, with dashes."""

    listen: str = Field(default="0.0.0.0:8480", pattern=r"^\S+:[0-9]{1,5}$", description="address and port")
    listen_tls: str | None = Field(
        default=None,
        pattern=r"^\S+:[0-9]{1,5}$",
        description="the same over TLS, where agents call then; firmware and images stay where they are",
    )
    data: Path = Field(default=Path("/var/lib/bms-agent-controller"), description="database, keys, uploaded images")
    require_certificates: bool = Field(
        default=True,
        description="with TLS, an agent's call needs its node's certificate; else those without one are heard, too",
    )
    certificate_days: float = Field(default=7.0, gt=0, le=365, description="that a node's certificate is good for")
    ramdisk: Path | None = Field(default=None, description="directory with vmlinuz and initrd")
    url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="under which the nodes reach this controller; left out, it is the address that they called",
    )
    database: str | None = Field(default=None, description="SQLAlchemy URL; left out, a SQLite file in `data`")
    enrolment: Literal["auto", "manual"] = Field(
        default="manual",
        description="manual: an operator approves each new node, by its fingerprint or by an enrolment token; auto: "
        "whatever boots from us is available at once",
    )
    insecure_user_api: bool = Field(default=False, description="let anybody use the user's side, without the token")
    kernel_options: str = Field(default="", description="added to the ramdisk's kernel command line")
    boot_timeout_s: float = Field(default=1800.0, gt=0, description="for the installed OS to return its nonce")
    patience_s: float = Field(default=300.0, gt=0, description="for a machine to react before its BMC is used")
    silence_timeout_s: float = Field(default=3600.0, gt=0, description="until a deploy without any news has failed")
    quarantine: bool = Field(
        default=True,
        description="a disk that is not proven erased is set apart by its serial, and its node goes on, but gets no "
        "server until the disk is out or accepted; else the whole node is in error",
    )
    show_hidden: bool = Field(
        default=True,
        description="what an ATA drive hides behind its end (a host protected area) is shown for good, and erased; "
        "else such a drive is never proven erased",
    )
    require_approval: bool = Field(
        default=False,
        description="who orders that a server with data is deleted or reinstalled, or a node with data cleaned, waits "
        "until another person approves it",
    )
    require_attested: bool = Field(
        default=False,
        description="a node whose erasure is not attested (see bmsctl node erasure) is in error, and is not put back",
    )
    token_lifetime_s: float = Field(default=3600.0, gt=0, description="of the one-time token in a boot script")
    calls_per_s: float = Field(default=50.0, ge=0, description="that one token may make, 20 s' worth at once; 0: any")
    strangers_per_s: float = Field(
        default=50.0, ge=0, description="that all who show no known token may make from one address; 0: any"
    )
    imports: Literal["here", "apart", "only"] = Field(
        default="here",
        description="who converts imported images: this process; another one on the same data directory; this one, "
        "which then does nothing else",
    )
    import_from: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(),
        description="private networks from which projects may import images, too; the whole cloud imports from any",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @property
    def serves(self) -> bool:
        """It has the HTTP faces, and all background work but conversions."""
        return self.imports != "only"

    @property
    def converts(self) -> bool:
        """It converts imported images."""
        return self.imports != "apart"

    @property
    def host(self) -> str:
        """The address to listen on."""
        return address_of(self.listen)[0]

    @property
    def port(self) -> int:
        """The port to listen on."""
        return address_of(self.listen)[1]

    @property
    def tls_port(self) -> int | None:
        """The port for TLS, if there is one."""
        return address_of(self.listen_tls)[1] if self.listen_tls else None

    @property
    def database_url(self) -> str:
        """Where the records are."""
        return self.database or f"sqlite:///{self.data / 'controller.sqlite'}"
