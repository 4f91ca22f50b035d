# SPDX-License-Identifier: Apache-2.0
"""The status screen: what is on it in every state of the agent, that it fits 80 columns and 25 rows, drawn in tmux."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.cli.status import drawn, over
from agent.diagnose.screen import MOST_NICS, Screen, line, lines, named, screen
from agent.errors import LinkError
from agent.host.fake import FakeHost, FaultPlan, Machine
from agent.job.journal import Accepted, Ended, Journal
from agent.job.status import StatusFile, status_in
from agent.model.fact import Unknown
from agent.model.fault import Fault
from agent.model.job import JobState, Progress
from agent.model.network import Nic
from agent.model.status import FILE
from tests.diagnose import seeing
from tests.diagnose.test_diagnose import CONTROLLER, ramdisk

RUN = "/run/bms-agent"
HALF = Progress(
    request_id="r1",
    step="write_image",
    done_bytes=1_204_000_000,
    total_bytes=2_400_000_000,
    limited_by="the disk, 510 MB/s",
)
FAULT = Fault(code="IMAGE.DIGEST_MISMATCH", message="writing /dev/sda: " + "not it, " * 60, hint="Register it again.")
LOST = Fault(code="LINK.UNREACHABLE", message="calling POST http://192.0.2.1:8480: ConnectTimeout", hint="Look.")


def at(machine: Machine, *, look: bool = True, before: Screen | None = None) -> Screen:
    """The screen of a machine."""
    host = FakeHost.of(machine)
    return screen(host, named(host), before, look=look)


def telling(machine: Machine) -> StatusFile:
    """The agent's side of it."""
    return StatusFile(FakeHost.of(machine), RUN, "embedded", CONTROLLER)


def text(shown: Screen) -> str:
    """As it is drawn."""
    return drawn(shown, as_json=False, as_line=False)


def test_before_the_agent_has_said_anything() -> None:
    """Who we are, and whether the controller of the command line can be reached: that is seen without the agent."""
    shown = at(ramdisk())

    assert shown.status is None and "DNS Name or service not known" in shown.controller
    assert "PowerEdge R650, serial 7XK4Q33" in text(shown)
    assert line(shown) == f"starting; controller {CONTROLLER}: DNS Name or service not known"


def test_while_it_works() -> None:
    """The step with its bar, what limits it, and that the controller hears us."""
    machine = ramdisk()
    telling(machine).tell("session open", node_id="n1", progress=HALF)
    shown = at(machine)

    drawn_step = " ".join(text(shown).split())
    assert "write_image [##########..........] 50% 1204 of 2400 MB, limited by the disk, 510 MB/s" in drawn_step
    assert f"controller  {CONTROLLER} (embedded): answers" in text(shown)
    assert line(shown) == f"session open; controller {CONTROLLER} (embedded): answers; write_image 50 %"


def test_while_hardware_is_tested() -> None:
    """In the test's own words: no bytes are counted."""
    machine = ramdisk()
    testing = Progress(request_id="r1", step="validate", limited_by="cpu.load: cpu, 3 of 10 s")
    telling(machine).tell("session open", node_id="n1", progress=testing)

    assert "step        validate  cpu.load: cpu, 3 of 10 s" in text(at(machine))


def test_the_readme_shows_it() -> None:
    """As it is drawn."""
    machine = ramdisk()
    telling(machine).tell("session open", node_id="n1", progress=HALF)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

    assert text(at(machine)).partition("\n\n")[2] in readme


def test_a_controller_that_does_not_hear_us() -> None:
    """The agent's own words, as long as a session is open."""
    machine = ramdisk()
    telling(machine).tell("session open", node_id="n1", faults=(LOST,))
    shown = at(machine)

    assert "not heard: calling POST" in shown.controller and shown.last_fault == LOST


def test_what_failed_while_it_tried() -> None:
    """An enrolment that is refused is on the screen with its reason; one that then works is not any more."""
    machine = ramdisk()
    status = telling(machine)
    with pytest.raises(LinkError), status.trying("enrolling"):
        raise LinkError("calling", "refused")
    failed = at(machine)
    status.tell("session open")

    assert failed.last_fault is not None and "calling: refused" in text(failed)
    assert at(machine).last_fault is None


def test_the_last_job() -> None:
    """It failed: its fault stays on the screen until another one ends well."""
    machine = ramdisk()
    journal = Journal(FakeHost.of(machine).files, RUN)
    journal.write(Accepted(request_id="r1", verb="image.deploy", digest="d"))
    journal.write(Ended(request_id="r1", state=JobState.FAILED, boot_id=seeing.BOOT, fault=FAULT))

    assert at(machine).last_fault == FAULT


def test_a_status_of_another_boot_is_none() -> None:
    """And what is told already is not written again."""
    machine = ramdisk()
    status = telling(machine)
    status.tell("session open")
    written = machine.tree.entries[f"{RUN}/{FILE}"]
    machine.now = datetime(2030, 1, 1, tzinfo=UTC)
    status.tell("session open")

    assert machine.tree.entries[f"{RUN}/{FILE}"] == written
    machine.tree.put("/proc/sys/kernel/random/boot_id", b"another\n")
    assert status_in(FakeHost.of(machine).files, RUN) is None


def test_a_status_that_cannot_be_written_harms_nobody() -> None:
    """Whatever call fails, the agent goes on."""
    machine = ramdisk()
    for number in range(1, 4):
        StatusFile(FakeHost.of(machine, FaultPlan(at=number)), RUN, "embedded", CONTROLLER).tell("session open")

    assert status_in(FakeHost.of(machine).files, RUN) is not None


def test_the_way_is_looked_at_now_and_then() -> None:
    """Not in every round; and not at all while the agent knows."""
    machine = ramdisk()
    first = at(machine)
    machine.ladders[CONTROLLER] = seeing.ladder()

    assert at(machine, look=False, before=first).controller == first.controller
    assert at(machine, before=first).controller == f"{seeing.URL}: answers"


@pytest.mark.parametrize(("word", "shell"), [("bms.shell", "Alt+F2"), ("", "boot with bms.shell")])
def test_how_to_get_a_shell(word: str, shell: str) -> None:
    """Where there is one, and else how to have one."""
    machine = ramdisk()
    machine.tree.put("/proc/cmdline", f"bms.controller={CONTROLLER} {word}\n".encode())

    assert at(machine).shell.startswith(shell)


def test_it_fits() -> None:
    """With the longest that there is: 80 columns, 25 rows with the cursor's; what is most important is there."""
    nics = tuple(
        Nic(name=f"enp{number}s0f0np0", mac=f"02:00:00:00:00:{number:02x}", current_mac="", carrier=number > 5)
        for number in range(20)
    )
    machine = ramdisk()
    telling(machine).tell("session open", node_id="4e1c" * 9, progress=HALF, faults=(FAULT,))
    shown = at(machine).model_copy(update={"nics": nics, "controller": f"{CONTROLLER}: {'x' * 200}"})
    rows = text(shown).split("\n")

    assert max(map(len, rows)) <= 80 and len(rows) <= 24
    assert f"… and {20 - MOST_NICS} more" in text(shown)
    assert "IMAGE.DIGEST_MISMATCH" in text(shown) and "Register it again." in text(shown) and "shell" in rows[-1]


def test_nics_that_cannot_be_read() -> None:
    """Are said to be unknown, and why."""
    shown = at(ramdisk()).model_copy(update={"nics": Unknown(unknown="no netlink")})

    assert "unknown (no netlink)" in text(shown)


def test_no_secret_is_on_it() -> None:
    """Neither the token of the command line nor a password in a URL."""
    machine = ramdisk()
    machine.tree.put("/proc/cmdline", b"bms.controller=http://u:hunter2@192.0.2.1 bms.token=hunter2\n")
    StatusFile(FakeHost.of(machine), RUN, "embedded", "http://u:hunter2@192.0.2.1").tell("enrolling")

    assert "hunter2" not in at(machine).model_dump_json() + "".join(lines(at(machine), 80))


def test_a_change_is_drawn_in_place() -> None:
    """From the corner, each row to its end, and nothing of an earlier, longer screen below it."""
    assert over("a\nb") == "\x1b[Ha\x1b[K\r\nb\x1b[K\r\n\x1b[J"


@pytest.mark.commands
@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_in_a_terminal_of_80_by_25(tmp_path: Path) -> None:
    """As tmux shows it: nothing scrolled away, nothing folded by the terminal."""
    socket, word = tmp_path / "tmux", f"{sys.executable} -m agent status --watch"
    tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8"}
    argv = [*tmux, "new-session", "-d", "-x", "80", "-y", "25", word]
    subprocess.run(argv, check=True, env=environment, timeout=30)
    server = subprocess.run([*tmux, "display", "-p", "#{pid}"], check=True, capture_output=True, text=True, timeout=30)
    try:
        seen = ""
        end_s = time.monotonic() + 60
        while "shell" not in seen and time.monotonic() < end_s:
            time.sleep(0.3)
            argv = [*tmux, "capture-pane", "-p"]
            seen = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout
    finally:
        os.kill(int(server.stdout), signal.SIGTERM)
    rows = seen.rstrip("\n").split("\n")

    assert rows[0].startswith("bms-agent ") and rows[2].startswith("machine ")
    assert "shell" in rows[-1] and len(rows) <= 24
