# SPDX-License-Identifier: Apache-2.0
"""The operator's command: what it shows, what it says when something is wrong, what it does by hand."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from agent.cli import said
from agent.cli.inventory import render
from agent.cli.job import Failed, perform
from agent.errors import AgentError, DeviceError, DigestMismatch, HostError, LinkError
from agent.host.fake import FakeHost, Page
from agent.inventory import take
from agent.model.request import EraseRequest
from tests.apply.disks import MIB, URL, disk_of, gpt_image, machine, request, serve

MACHINES = Path(__file__).parents[1] / "machines"


@pytest.mark.parametrize("name", sorted(path.parent.name for path in MACHINES.glob("*/machine.json")))
def test_inventory_as_it_is_shown(name: str, golden: Callable[[Path, str], None]) -> None:
    """Each recorded machine's inventory in 80 columns; what is unknown says why."""
    out = io.StringIO()
    render(take(FakeHost.load(MACHINES / name)), Console(file=out, width=80))
    text = re.sub(r" +$", "", out.getvalue(), flags=re.MULTILINE)

    golden(MACHINES / name / "inventory.txt", text)


def test_an_error_says_what_to_do() -> None:
    """Code, what failed while doing what, why, and what to do: each once."""
    try:
        try:
            raise OSError("medium error")
        except OSError as cause:
            raise DeviceError("writing /dev/sda", "EIO", hint="Replace the drive.") from cause
    except AgentError as error:
        text = said(error)

    assert text == (
        "HOST.DEVICE_ERROR: writing /dev/sda: EIO\n  because: medium error\n  to do:   Replace the drive.\n"
    )


def test_an_error_says_nothing_twice() -> None:
    """Who passes on what another has said, in other words for what was being done, has said it."""
    below = DeviceError("asking", "no answer", hint="x")
    between = HostError("asking", "no answer")
    between.__cause__ = below
    between.__cause__.__cause__ = OSError(110, "Connection timed out")
    above = LinkError("asking", "no answer")
    above.__cause__ = between

    assert said(above).splitlines()[1] == "  because: [Errno 110] Connection timed out"


def test_plan_touches_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """`--plan` prints the plan, and the disk is as it was."""
    made = machine(96 * MIB)
    perform(FakeHost.of(made), request(serve(made, gpt_image()), drive=None), plan_only=True)

    assert "1. write http://images.example/image" in capsys.readouterr().out
    assert disk_of(made).content.blank


def test_deploy_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """By hand the same steps run as for a controller, but the machine is not rebooted under the operator."""
    made = machine(96 * MIB)
    perform(FakeHost.of(made), request(serve(made, gpt_image()), drive=None), plan_only=False)

    assert "done: image_bytes 6291456" in capsys.readouterr().out
    assert disk_of(made).durable.read(MIB, MIB) == gpt_image()[MIB : 2 * MIB]
    assert made.power_orders == []


def test_failure_by_hand_keeps_its_code() -> None:
    """A job that fails by hand ends with the code, the hint and the exit status that its error has."""
    made = machine(96 * MIB)
    image = serve(made, gpt_image())
    made.web[URL] = Page(gpt_image(seed=2))
    with pytest.raises(Failed) as caught:
        perform(FakeHost.of(made), request(image, drive=None), plan_only=False)

    assert (caught.value.code, caught.value.hint) == (DigestMismatch.code, DigestMismatch.advice)
    assert caught.value.exit_status == DigestMismatch.exit_status


def test_erase_by_hand_names_its_disks() -> None:
    """Only the disk that was named is erased."""
    made = machine(96 * MIB, 96 * MIB)
    for path in ("/dev/sda", "/dev/sdb"):
        disk_of(made, path).write(0, b"data".ljust(512))
        disk_of(made, path).flush()
    perform(
        FakeHost.of(made), EraseRequest(request_id="by-hand:1", node_id="by-hand", serials=("S1",)), plan_only=False
    )

    assert disk_of(made, "/dev/sdb").durable.blank and not disk_of(made).durable.blank
