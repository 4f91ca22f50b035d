# SPDX-License-Identifier: Apache-2.0
"""The settings, declared once: kernel command line (`bms.*`) over environment (`BMS_AGENT_*`) over agent.toml.

An unknown key is refused in the file and on the command line: a setting that is misspelt must not be ignored.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from agent.errors import ConfigError
from agent.model.frozen import faults
from agent.model.image import ImagePolicy
from agent.model.pin import Pin

CONFIG_FILE = "/etc/bms-agent/agent.toml"


def split(text: object) -> object:
    """`a,b` on a command line is a list, as it is in the file."""
    return tuple(text.split(",")) if isinstance(text, str) else text


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]


class Settings(BaseSettings):
    """How this agent runs."""

    model_config = SettingsConfigDict(env_prefix="BMS_AGENT_", extra="forbid", frozen=True)

    controller: str | None = Field(default=None, description="URL of the controller")
    ca: Pin | None = Field(default=None, description="digest of the authority that certifies it (kernel command line)")
    token: SecretStr | None = Field(default=None, description="one-time enrolment token (kernel command line)")
    boot_mac: str | None = Field(default=None, description="MAC of the NIC that this machine booted from")
    state_dir: Path = Field(default=Path("/var/lib/bms-agent"), description="what survives a reboot")
    runtime_dir: Path = Field(default=Path("/run/bms-agent"), description="what does not")
    link_socket: Path = Field(
        default=Path("/run/bms-agent-link/socket"), description="of the process that speaks to the controller"
    )
    writer_socket: Path = Field(
        default=Path("/run/bms-agent-writer/socket"), description="of the process that fetches and writes images"
    )
    api_socket: Path = Field(
        default=Path("/run/bms-agent-api/socket"), description="of the process that Ironic calls in the ramdisk"
    )
    heartbeat_s: float = Field(default=60.0, gt=0, description="seconds between heartbeats, plus or minus 10 %")
    poll_s: float = Field(default=30.0, gt=0, description="longest wait of one long poll, in seconds")
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    log_format: str = Field(default="text", pattern="^(text|json)$")
    image_keys: Words = Field(
        default=(),
        description="Ed25519 public keys in base64 (ours, OpenSSH's, minisign's), comma-separated: "
        "one must have signed an image",
    )
    require_signature: bool = Field(
        default=False, description="an image that no trusted key has signed is not written, even where there is no key"
    )
    image_cache: str | None = Field(default=None, description="URL of the rack's image cache")
    wipe_special_filesystems: bool = Field(
        default=False,
        description="disks that other machines may be using (VMFS, GPFS, GFS2, OCFS2), or that udev could not examine, "
        "are written to like all others: as the node's setting of that name is under Ironic (kernel command line)",
    )
    status: bool = Field(
        default=False, description="a line on the serial console for each change of state (kernel command line)"
    )
    shell: bool = Field(default=False, description="a root shell on the ramdisk's console (kernel command line)")

    @property
    def images(self) -> ImagePolicy:
        """What this machine holds about images."""
        return ImagePolicy(
            trusted_keys=self.image_keys, require_signature=self.require_signature, cache=self.image_cache
        )

    @model_validator(mode="after")
    def _images_are_sound(self) -> Self:
        _ = self.images
        return self


def load(config_text: str | None, cmdline: str = "") -> Settings:
    """Settings from the text of agent.toml (`None`: no file) and of /proc/cmdline.

    Raises `ConfigError`.
    """
    try:
        in_file: dict[str, Any] = tomllib.loads(config_text) if config_text else {}

        class Sourced(Settings):
            @classmethod
            def settings_customise_sources(
                cls,
                settings_cls: type[BaseSettings],
                init_settings: PydanticBaseSettingsSource,
                env_settings: PydanticBaseSettingsSource,
                *_: PydanticBaseSettingsSource,
                **__: PydanticBaseSettingsSource,
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                return init_settings, env_settings, InitSettingsSource(settings_cls, in_file)

        return Sourced(**from_cmdline(cmdline))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"reading {CONFIG_FILE}", str(error)) from None
    except ValidationError as error:
        raise ConfigError("reading the settings", faults(error)) from None


def from_cmdline(cmdline: str) -> dict[str, Any]:
    """`bms.controller=http://… bms.token=…` as settings; a bare `bms.shell` is true."""
    words = (word.removeprefix("bms.") for word in cmdline.split() if word.startswith("bms."))
    return {name: value if sign else "true" for name, sign, value in (word.partition("=") for word in words)}
