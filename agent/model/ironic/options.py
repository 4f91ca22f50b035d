# SPDX-License-Identifier: Apache-2.0
"""Configuration files of ironic-python-agent (oslo.config), as words of a command line. Pure.

On virtual media Ironic brings one that names its authority (ironic/drivers/modules/image_utils.py,
_TLS_CONFIG_TEMPLATE); an operator may have more of them in a ramdisk. What they say goes before the command line.
"""

from __future__ import annotations

from configparser import Error as Fault
from configparser import MissingSectionHeaderError, ParsingError, RawConfigParser

from agent.errors import ConfigError

SECTIONS = ("DEFAULT", "mdns")
RENAMED = {"ip_lookup_sleep": "ip-lookup-timeout"}


def words_of_options(text: str, name: str) -> dict[str, str]:
    """`cafile = x` in [DEFAULT] is ipa-cafile=x. Raises `ConfigError`; `name` is the file's."""
    parser = RawConfigParser(strict=False, default_section="")
    try:
        parser.read_string(text)
    except Fault as fault:
        raise ConfigError(f"reading {name}", unread(fault)) from None
    found = {option: value for section in SECTIONS if section in parser for option, value in parser[section].items()}
    return {f"ipa-{RENAMED.get(option, option.replace('_', '-'))}": value.strip() for option, value in found.items()}


def unread(fault: Fault) -> str:
    """What is wrong, without the line itself: it may hold a password."""
    if isinstance(fault, MissingSectionHeaderError):
        return f"line {fault.lineno} stands in no section"
    if isinstance(fault, ParsingError):
        return f"line {', '.join(str(number) for number, _ in fault.errors)} is no option = value"
    return type(fault).__name__
