# SPDX-License-Identifier: Apache-2.0
"""`images/demo`: the main job, from a machine's first power-on to a server, and back to an empty, available node.

It ends with status 0 only if all of it happened and was seen from outside: by ssh, and on the disks themselves. Which
controller has the machine is chosen here, and known nowhere in the story.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lab import artifacts
from lab.cloud import Cloud as EmbeddedCloud
from lab.daemon import tail
from lab.fault import LabFault
from lab.firmware import Firmware
from lab.ironic import Ironic
from lab.ironic_cloud import WIPING, IronicCloud
from lab.machine import MachineSpec
from lab.site import Site, tear_down
from lab.story import Cloud, Story
from lab.timeline import Timeline


class Kind(StrEnum):
    """Who has the machine."""

    EMBEDDED = "embedded"
    IRONIC = "ironic"


def main(
    controller: Annotated[Kind, typer.Option(help="who drives the machine: ours, or OpenStack Ironic")] = Kind.EMBEDDED,
    firmware: Annotated[Firmware, typer.Option(help="firmware of the virtual machine")] = Firmware.UEFI,
    image: Annotated[Path | None, typer.Option(help="deploy this image, not the sample", exists=True)] = None,
    user: Annotated[str, typer.Option(help="who logs in to the server")] = "debian",
    keep: Annotated[bool, typer.Option("--keep", help="stop when the server is ACTIVE, and leave it running")] = False,
    down: Annotated[bool, typer.Option("--down", help="remove what --keep left running; nothing else")] = False,
) -> None:
    """Take in a virtual bare-metal machine, deploy Debian to it, log in, delete the server, prove the wipe."""
    console = Console(highlight=False, soft_wrap=True)
    if down:
        console.print(f"labs removed: {tear_down()}")
        return
    timeline = Timeline(console)
    try:
        play(timeline, controller, MachineSpec(firmware=firmware), image, user, keep=keep)
    except LabFault as fault:
        console.print(f"\nFAILED: {timeline.current}\n{fault}", style="bold red", markup=False)
        sys.exit(1)
    console.print(timeline.table())


def play(timeline: Timeline, kind: Kind, spec: MachineSpec, image: Path | None, user: str, *, keep: bool) -> None:
    """Build what is needed, bring a lab up, and tell the story in it."""
    with timeline.phase("build the ramdisk, or find it"):
        ramdisk = artifacts.ramdisk()
    with timeline.phase("build the image, or find it"):
        image = image or artifacts.sample_image()
    opened = {Kind.EMBEDDED: embedded, Kind.IRONIC: under_ironic}[kind]
    with ExitStack() as stack:
        with timeline.phase("bring up network, BMC and controller"):
            cloud = stack.enter_context(opened(spec, ramdisk, user, timeline.console))
        try:
            act(Story(cloud, timeline), image, keep=keep)
        except LabFault:
            show_ends(timeline.console, cloud.site)
            raise


@contextmanager
def embedded(spec: MachineSpec, ramdisk: Path, user: str, console: Console) -> Iterator[Cloud]:
    """A lab with the embedded controller."""
    with Site.create(spec, ramdisk) as site:
        yield EmbeddedCloud(site, user, lambda command: console.print(f"$ {command}", style="cyan", markup=False))


@contextmanager
def under_ironic(spec: MachineSpec, ramdisk: Path, user: str, console: Console) -> Iterator[Cloud]:
    """A lab with real Ironic, installed or found in the cache."""
    home = artifacts.ironic()
    with Site.with_engine(spec, lambda folder: Ironic(folder, home, ramdisk, WIPING)) as site:
        yield IronicCloud(
            site,
            user,
            lambda request: console.print(request, style="cyan", markup=False),
            lambda seen: console.print(seen, markup=False),
        )


def act(story: Story, image: Path, *, keep: bool) -> None:
    """The main job; kept, it stops where the server is ACTIVE."""
    story.take_in()
    story.create(image)
    story.log_in()
    if keep:
        story.cloud.site.keep()
        story.timeline.console.print(what_to_try(story.cloud), markup=False)
    else:
        story.delete()


def show_ends(console: Console, site: Site[Any]) -> None:
    """What the machine and the controller said last, and where the rest is."""
    for log in (site.machine.console_log, site.controller.log):
        console.rule(f"the end of {log}", align="left")
        console.print(tail(log), markup=False)
    console.print(f"\nall logs: {site.folder}", markup=False)


def what_to_try(cloud: Cloud) -> str:
    """For somebody who wants to go on by hand."""
    lines = [*cloud.what_to_try(), f"tail -f {cloud.site.machine.console_log}"]
    return "\n".join(
        [
            "",
            "The lab is left running. Everything is in its own network namespace; to use it:",
            "",
            *(f"  {line}" for line in lines),
            "",
            "and to remove it:  images/demo --down",
        ]
    )


if __name__ == "__main__":
    typer.run(main)
