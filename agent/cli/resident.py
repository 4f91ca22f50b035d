# SPDX-License-Identifier: Apache-2.0
"""`bms-agent ramdisk` and `bms-agent service`: the resident modes, started by systemd; beside them `bms-agent link`,
`bms-agent writer` and `bms-agent api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.cli.logs import configure
from agent.host.doors import Host

if TYPE_CHECKING:
    from agent.config import Settings

CMDLINE = "/proc/cmdline"
"""Not there in an image that is being built, where images are packed, too."""


def settings_of(host: Host, *, with_cmdline: bool) -> Settings:
    """From agent.toml, the environment and, in the ramdisk, the kernel command line."""
    from agent import config  # lazy, as all below: it and the daemon take half of the time in which a command starts

    text = host.files.read_text(config.CONFIG_FILE) if host.files.exists(config.CONFIG_FILE) else None
    return config.load(text, cmdline_of(host) if with_cmdline else "")


def cmdline_of(host: Host) -> str:
    """Of the kernel."""
    return host.files.read_text(CMDLINE) if host.files.exists(CMDLINE) else ""


def ramdisk() -> None:
    """Take this machine in: what the PXE-booted ramdisk runs. Who is in charge, the kernel command line says."""
    from agent.daemon import live
    from agent.host.real import host as open_host
    from agent.life.lives import stop_on_signals
    from agent.life.sd_notify import Notifier
    from agent.model.ironic.parameters import is_for_ironic, is_true, words_of

    host = open_host()
    settings = settings_of(host, with_cmdline=True)
    configure(settings.log_level, settings.log_format)
    cmdline = cmdline_of(host)
    words = words_of(cmdline)
    stop, notifier = stop_on_signals(), Notifier()
    if settings.controller is not None or not is_for_ironic(words):
        from agent import ramdisk as mode

        live(host, settings, stop, notifier, lambda: mode.run(host, settings, stop, notifier))
    else:
        from agent import ironic

        if is_true(words.get("ipa-debug")):
            configure("debug", settings.log_format)

        def work() -> None:
            ironic.begin(host, settings, cmdline, stop, notifier)

        live(host, settings, stop, notifier, work, ironic.LONGEST_PAUSE_S)


def service() -> None:
    """Stay with a deployed server: what its OS runs."""
    import typer

    from agent import service as mode
    from agent.cli.exits import NOBODYS
    from agent.daemon import live
    from agent.host.real import host as open_host
    from agent.life.lives import stop_on_signals
    from agent.life.sd_notify import Notifier

    host = open_host()
    settings = settings_of(host, with_cmdline=False)
    configure(settings.log_level, settings.log_format)
    stop, notifier = stop_on_signals(), Notifier()
    if live(host, settings, stop, notifier, lambda: mode.run(host, settings, stop, notifier)) is False:
        raise typer.Exit(NOBODYS)


def link() -> None:
    """Speak to the controller for ramdisk and service: what systemd runs beside them.

    It has no right to anything else, and serves root alone, over the socket that systemd hands to it.
    """
    from agent.life.lives import stop_on_signals
    from agent.life.sd_notify import Notifier
    from agent.link import process

    configure("info", "text")  # it may not read the settings
    process.run(Notifier(), stop_on_signals())


def writer() -> None:
    """Fetch and write one image for ramdisk and service: what systemd runs beside them.

    It has no right to anything else, and serves root alone, over the socket that systemd hands to it.
    """
    from agent.apply.writer import process
    from agent.host.real import host as open_host
    from agent.life.sd_notify import Notifier

    configure("info", "text")  # it may not read the settings
    process.run(open_host(), Notifier())


def api() -> None:
    """Be called by Ironic for the ramdisk: what systemd runs beside it.

    It has no right to anything else, and serves root alone, over the socket that systemd hands to it.
    """
    from agent.api.ironic import process
    from agent.life.lives import stop_on_signals
    from agent.life.sd_notify import Notifier

    configure("info", "text")  # it may not read the settings
    process.run(Notifier(), stop_on_signals())
