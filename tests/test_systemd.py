# SPDX-License-Identifier: Apache-2.0
"""The unit files: systemd understands every line of them, and finds them shut as tightly as they were when written.

In: `systemd/` and the units that the images add. systemd-analyze judges; nothing is started.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from agent.api.ironic.process import SOCKET as API
from agent.apply.writer import process as writer
from agent.config import Settings
from agent.host import tpm
from agent.link import process as link

ROOT = Path(__file__).resolve().parents[1]
OURS = sorted((ROOT / "systemd").glob("*.service"))
ONCE = ("Type=oneshot", "Restart=no")
"""Of units that end by themselves: at boot, or for each image."""
RESIDENT = [unit for unit in OURS if not {*ONCE} & {*unit.read_text(encoding="utf-8").splitlines()}]
SOCKETS = sorted((ROOT / "systemd").glob("*.socket"))
UNITS = [*OURS, *SOCKETS, *sorted((ROOT / "images" / "build").glob("*/overlay/etc/systemd/system/*"))]

# `systemd-analyze security` counts exposure from 0 (shut) to 100. Raise a ceiling only for a right that is used.
CEILINGS = {
    "bms-agent.service": 32,
    "bms-agent-link.service": 11,
    "bms-agent-writer.service": 11,
    "bms-agent-api.service": 8,
    "bms-agent-firewall.service": 23,
    "bms-agent-ramdisk.service": 46,
    "bms-agent-controller.service": 13,
    "bms-agent-importer.service": 14,
}

PROGRAMS = (
    "/usr/bin/bms-agent",
    "/usr/lib/systemd/systemd-networkd-wait-online",
    "/usr/libexec/bms-rescue",
    "/usr/sbin/dropbear",
    "/usr/sbin/nft",
)

pytestmark = [
    pytest.mark.commands,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"),
]


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze; both streams in stdout."""
    argv = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)


def verify(unit: Path, directory: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """`systemd-analyze verify` of a copy whose programs exist on this machine, beside what a socket starts."""
    copy = copied(unit, directory, unit.read_text(encoding="utf-8") if text is None else text)
    if unit.suffix == ".socket":
        started = unit.with_suffix(".service")
        copied(started, directory, started.read_text(encoding="utf-8"))
    return analyze("verify", "--man=no", "--recursive-errors=no", copy)


def copied(unit: Path, directory: Path, text: str) -> Path:
    """The copy."""
    for program in PROGRAMS:
        text = text.replace(program, "/bin/true")
    copy = directory / unit.name.replace("@.", "@tty2.")
    copy.write_text(text, encoding="utf-8")
    return copy


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say."""
    done = verify(unit, tmp_path)

    assert (done.returncode, done.stdout) == (0, "")


def test_a_misspelt_line_is_found(tmp_path: Path) -> None:
    """The check above fails on a setting that systemd does not know: it would be ignored, and protect nothing."""
    text = OURS[0].read_text(encoding="utf-8").replace("ProtectSystem=", "ProtectSytem=")

    assert "ProtectSytem" in verify(OURS[0], tmp_path, text).stdout


@pytest.mark.parametrize("unit", OURS, ids=lambda unit: unit.name)
def test_a_unit_is_no_more_open_than_its_ceiling(unit: Path) -> None:
    """A protection that is lost raises the exposure above the ceiling; a new unit gets a ceiling first."""
    done = analyze("security", "--offline=true", f"--threshold={CEILINGS[unit.name]}", unit)

    assert done.returncode == 0, done.stdout


def test_a_lost_protection_is_found(tmp_path: Path) -> None:
    """A ceiling lies so close that dropping the capability bounds is above it."""
    unit = tmp_path / "bms-agent.service"
    text = (ROOT / "systemd" / unit.name).read_text(encoding="utf-8")
    unit.write_text(text.replace("CapabilityBoundingSet=", "# "), encoding="utf-8")

    assert analyze("security", "--offline=true", f"--threshold={CEILINGS[unit.name]}", unit).returncode != 0


@pytest.mark.parametrize("unit", RESIDENT, ids=lambda unit: unit.name)
def test_systemd_never_gives_a_unit_up(unit: Path) -> None:
    """A unit that stays, and fails, is tried without end: no start limit makes a passing fault a lasting one."""
    lines = unit.read_text(encoding="utf-8").splitlines()

    assert {"Restart=always", "StartLimitIntervalSec=0"} <= set(lines)


@pytest.mark.parametrize("unit", RESIDENT, ids=lambda unit: unit.name)
def test_systemd_hears_whether_a_unit_lives(unit: Path) -> None:
    """One that stays says when it is ready, and again and again that it lives; a silent one is ended."""
    lines = unit.read_text(encoding="utf-8").splitlines()

    assert {"Type=notify", "WatchdogSec=60"} <= set(lines)


@pytest.mark.parametrize("unit", RESIDENT, ids=lambda unit: unit.name)
def test_what_a_unit_counts_outlives_its_process(unit: Path) -> None:
    """How its processes ended: in a directory that dies with the boot, or else in a file that systemd holds."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    has_directory = any(line.startswith("RuntimeDirectory=") for line in lines)

    assert ("RuntimeDirectoryPreserve=yes" in lines) if has_directory else ("FileDescriptorStoreMax=1" in lines)


def test_a_serial_console_tells_the_state_when_asked() -> None:
    """Only with bms.status on the command line, in single lines, and from the start: the ramdisk enables it."""
    build = ROOT / "images" / "build" / "ramdisk"
    lines = (build / "overlay/etc/systemd/system/bms-status@.service").read_text(encoding="utf-8").splitlines()

    assert {"ConditionKernelCommandLine=bms.status", "StandardOutput=tty", "TTYPath=/dev/%I"} <= set(lines)
    assert "ExecStart=/usr/bin/bms-agent status --watch --line" in lines
    assert "bms-status@ttyS0.service" in (build / "units").read_text(encoding="utf-8").split()


def test_the_firewall_stands_before_the_network() -> None:
    """What configures links comes after network-pre.target, and the saved rules before it."""
    lines = (ROOT / "systemd" / "bms-agent-firewall.service").read_text(encoding="utf-8").splitlines()

    assert {"DefaultDependencies=no", "Wants=network-pre.target"} <= set(lines)
    assert any(line.startswith("Before=network-pre.target") for line in lines)


def test_a_waiting_agent_holds_up_no_boot() -> None:
    """The agent brings the network about: ordered after network-online.target, it would wait for itself."""
    text = (ROOT / "systemd" / "bms-agent.service").read_text(encoding="utf-8")
    after = [
        word
        for line in text.splitlines()
        if line.startswith(("After=", "Wants="))
        for word in line.split("=")[1].split()
    ]

    assert "network-online.target" not in after
    assert "cloud-init.target" not in after


def test_the_service_may_ask_the_hardware() -> None:
    """What the doors open: the TPM, the BMC once its driver is there, drives by commands that are passed through."""
    lines = (ROOT / "systemd" / "bms-agent.service").read_text(encoding="utf-8").splitlines()
    bounds = next(line for line in lines if line.startswith("CapabilityBoundingSet=")).partition("=")[2].split()

    assert {f"DeviceAllow={tpm.DEVICE} rw", "DeviceAllow=char-ipmidev rw", "DeviceAllow=block-* r"} <= set(lines)
    assert {"Wants=modprobe@ipmi_devintf.service", "After=modprobe@ipmi_devintf.service"} <= set(lines)
    assert {"CAP_SYS_ADMIN", "CAP_SYS_RAWIO"} <= set(bounds)


def test_ironic_calls_another_process() -> None:
    """Who is called by Ironic can be reached before root lends it a socket, is nobody, starts when that is done, opens
    no socket of the Internet's, and ends after root."""
    lines = {
        name: (ROOT / "systemd" / name).read_text(encoding="utf-8").splitlines()
        for name in ("bms-agent-ramdisk.service", "bms-agent-api.socket", "bms-agent-api.service")
    }
    asking, asked, serving = lines.values()
    wanted = {word for line in asking if line.startswith("Wants=") for word in line.partition("=")[2].split()}
    after = {word for line in asking if line.startswith("After=") for word in line.partition("=")[2].split()}

    assert "bms-agent-api.socket" in wanted and {"bms-agent-api.socket", "bms-agent-api.service"} <= after
    assert {f"ListenStream={Settings().api_socket}", f"FileDescriptorName={API}", "SocketMode=0600"} <= set(asked)
    assert {"DynamicUser=yes", "CapabilityBoundingSet=", "PrivateDevices=yes", "ProtectSystem=strict"} <= set(serving)
    assert {"RestrictAddressFamilies=AF_UNIX", "ExecStart=/usr/bin/bms-agent api"} <= set(serving)
    assert not any(
        line.startswith(("User=root", "WantedBy=", "ReadWritePaths=", "StateDirectory=")) for line in serving
    )


@pytest.mark.parametrize("name", ["bms-agent.service", "bms-agent-ramdisk.service"])
@pytest.mark.parametrize("part", ["link", "writer"])
def test_root_asks_another_process(name: str, part: str) -> None:
    """Who speaks to the controller, and who writes images, can be asked before who asks it, is nobody, starts when it
    is asked, and has no right to a file or a device. Who asks may kill who writes, and hangs."""
    sockets = {"link": (Settings().link_socket, link.SOCKET), "writer": (Settings().writer_socket, writer.SOCKET)}
    asking = (ROOT / "systemd" / name).read_text(encoding="utf-8").splitlines()
    asked = (ROOT / "systemd" / f"bms-agent-{part}.socket").read_text(encoding="utf-8").splitlines()
    doing = (ROOT / "systemd" / f"bms-agent-{part}.service").read_text(encoding="utf-8").splitlines()
    path, handed_over = sockets[part]

    assert f"Wants=bms-agent-{part}.socket" in asking
    assert part != "writer" or "CAP_KILL" in " ".join(asking).split(), "one that hangs could not be ended"
    assert any(line.startswith(f"After=bms-agent-{part}.socket") for line in asking)
    assert {f"ListenStream={path}", f"FileDescriptorName={handed_over}", "SocketMode=0600"} <= set(asked)
    assert {"DynamicUser=yes", "CapabilityBoundingSet=", "PrivateDevices=yes", "ProtectSystem=strict"} <= set(doing)
    assert f"ExecStart=/usr/bin/bms-agent {part}" in doing
    assert not any(line.startswith(("User=root", "WantedBy=", "ReadWritePaths=", "StateDirectory=")) for line in doing)


def test_nobody_keeps_a_dead_writers_disk() -> None:
    """What is left of its unit ends at once."""
    lines = (ROOT / "systemd" / "bms-agent-writer.service").read_text(encoding="utf-8").splitlines()
    assert "KillSignal=SIGKILL" in lines


def test_the_link_ends_after_who_asks_it() -> None:
    """What is last to be told is told."""
    for name in ("bms-agent.service", "bms-agent-ramdisk.service"):
        lines = (ROOT / "systemd" / name).read_text(encoding="utf-8").splitlines()
        assert "After=bms-agent-link.socket bms-agent-link.service" in lines
