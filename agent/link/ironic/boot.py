# SPDX-License-Identifier: Apache-2.0
"""What this machine was told at boot, gathered: command line, then a BMC's floppy, then configuration files, those of
the ramdisk before those of virtual media. What stands later counts (ironic_python_agent/utils.py, config.py).

What virtual media said is kept for as long as the boot lasts: Ironic takes it out again, and the process may be killed.
What did not come in time is looked for again by the next process, as long as Ironic does not know us.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event

from agent.errors import AgentError, ConfigError
from agent.host.doors import Files, Host
from agent.host.identity import boot_id
from agent.inventory.virtual_media import read_media
from agent.model.frozen import Frozen, decode
from agent.model.ironic.options import words_of_options
from agent.model.ironic.parameters import VIRTUAL_MEDIA, Parameters, not_followed, parsed, words_of
from agent.model.virtual_media import FOLDERS, VirtualMedia
from agent.program.log import Logger

MEDIA_S = 30.0
LOOK_S = 1.0
FILE = "media.json"
CALLED = ("ipa-api-url", "ipa-inspection-callback-url", "ipa-use-mdns")

log = Logger("boot")


class Kept(Frozen):
    """What virtual media said in this boot."""

    boot_id: str
    media: VirtualMedia
    is_complete: bool


def told(
    host: Host, cmdline: str, directory: str, stop: Event, *, is_first: bool = True
) -> tuple[Parameters, VirtualMedia]:
    """All of it; `is_first`: Ironic does not know us yet in this boot. Raises `ConfigError` for what cannot be done as
    it was said; what is not done is logged.
    """
    words = words_of(cmdline)
    media = media_of(host, words, directory, stop, is_first=is_first)
    if media.parameters is not None:
        words |= words_of(media.parameters.get_secret_value())
    words |= options(host.files, media)
    for name, why in not_followed(words).items():
        log.warning("not followed", parameter=name, instead=why)
    found = parsed(words)
    if not (found.api_urls or found.inspection_urls or found.use_mdns):
        raise ConfigError(
            "reading what Ironic told this machine at boot",
            "nothing says where Ironic's API is",
            hint="ipa-api-url says so, on the kernel's command line or on virtual media.",
        )
    return with_authorities(host.files, found, media), media


def media_of(host: Host, words: Mapping[str, str], directory: str, stop: Event, *, is_first: bool) -> VirtualMedia:
    """What virtual media says, or said before it was taken out. Only of a machine that Ironic booted by it."""
    if words.get("boot_method") != VIRTUAL_MEDIA:
        return VirtualMedia()
    path, boot = f"{directory}/{FILE}", boot_id(host.files)
    if host.files.exists(path):
        kept = decode(Kept, host.files.read_bytes(path), "reading what virtual media said")
        if kept.boot_id == boot and (kept.is_complete or not is_first):
            return kept.media
    media, is_complete = awaited(host, words, stop)
    now = Kept(boot_id=boot, media=media, is_complete=is_complete)
    host.files.write(path, now.model_dump_json().encode(), mode=0o600)
    return media


def awaited(host: Host, words: Mapping[str, str], stop: Event) -> tuple[VirtualMedia, bool]:
    """(what they say, whether nothing is missing). Drives of a BMC turn up late: waited for while something is missing
    that must be there. A disc must, unless the boot loader told of the NIC and of no publisher: such a disc was made by
    somebody else, beforehand.
    """
    publisher = words.get("ir_pub_id")
    needs_disc = publisher is not None or not words.get("BOOTIF")
    needs_floppy = not any(words.get(name) for name in CALLED)
    end_s = host.clock.monotonic_s() + MEDIA_S
    while True:
        media = read_media(host, publisher)
        is_complete = (media.has_disc or not needs_disc) and (media.parameters is not None or not needs_floppy)
        if is_complete:
            break
        if host.clock.monotonic_s() >= end_s or host.clock.wait(stop, LOOK_S):
            log.warning("virtual media is not complete", disc=media.has_disc, floppy=media.parameters is not None)
            break
    log.info("virtual media", disc=media.has_disc, files=list(media.files), network=media.network_data is not None)
    return media, is_complete


def options(files: Files, media: VirtualMedia) -> dict[str, str]:
    """Of all configuration files, as words. Raises `ConfigError`."""
    own = {f"{folder}/{name}": "" for folder in FOLDERS for name in files.names(folder)}
    words: dict[str, str] = {}
    for path in [*own, *media.files]:
        if path.endswith(".conf"):
            words |= words_of_options(text_of(files, media, path), path)
    return words


def with_authorities(files: Files, found: Parameters, media: VirtualMedia) -> Parameters:
    """With the content of the files that it names. Raises `ConfigError`."""
    given: dict[str, str] = {}
    if found.ca_file:
        given["ca_pem"] = text_of(files, media, found.ca_file)
    if found.certificate_file and found.key_file:
        pair = (text_of(files, media, path) for path in (found.certificate_file, found.key_file))
        given["client_pem"] = "\n".join(pair)
    return Parameters.model_validate({**dict(found), **given})


def text_of(files: Files, media: VirtualMedia, path: str) -> str:
    """A file of virtual media, or of the ramdisk. Raises `ConfigError`."""
    if path in media.files:
        return media.files[path].get_secret_value()
    try:
        return files.read_text(path)
    except AgentError as error:
        raise ConfigError(f"reading {path}, which Ironic's parameters name", "it cannot be read") from error
