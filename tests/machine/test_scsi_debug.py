# SPDX-License-Identifier: Apache-2.0
"""SCSI disks that the kernel's own scsi_debug plays, erased by the agent: they answer by the book."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.machine.guest import Guest, booted
from tests.machine.test_erasure import filled
from tests.machine.test_raid import BOOT_S, put

pytestmark = [pytest.mark.machine, pytest.mark.root]

KERNEL = "console=ttyS0 quiet bms.shell no_timer_check"
DO_S = 900
TRYING = """\
import json, subprocess, sys
sys.path.insert(0, '/usr/lib/bms-agent')
from agent.errors import AgentError
from agent.host.real import host
from agent.host.sense import sanitize_sense
from agent.inventory.disk import disks
from agent.inventory.erasing import abilities
from agent.model.erasing.certificate import IN_RESULT, SignedCertificate
from agent.model.plan import EraseDisks
from agent.model.request import EraseRequest
from agent.operations import Operations
machine = host()
def run(*argv):
    subprocess.run(argv, check=True)
def tried(number, name, case):
    run('insmod', '/usr/lib/debug-modules/scsi_debug.ko', 'dev_size_mb=40', *case['module'])
    run('udevadm', 'settle')
    found = [one for one in disks(machine) if one.model == 'scsi_debug']
    told = {'disks': [[one.path, one.serial, one.wwn, one.read_only, one.logical_sector_bytes] for one in found]}
    sense = [sanitize_sense(machine.drives, one.path) for one in found]
    told['sense'] = [str(one) for one in sense]
    told['able'] = [str(one) for one in abilities(machine, found).values()]
    try:
        doer = Operations(machine, 'ramdisk', '/run/trying/spool')
        request = EraseRequest(request_id=f'r{number}', node_id='n1', quarantine=True, method=case['method'])
        (step,) = doer.plan(request).steps
        result = doer.do(step, lambda *_: None)
    except AgentError as error:
        told['error'], result = str(error), error.found or {}
    if IN_RESULT in result:
        signed = SignedCertificate.model_validate_json(result[IN_RESULT])
        told['erased'] = {one.path: json.loads(one.model_dump_json()) for one in signed.opened().disks}
    told['stat'] = {one.path: open(f'/sys/block/{one.name}/stat').read().split() for one in found}
    run('udevadm', 'settle')
    run('rmmod', 'scsi_debug')
    print('told', json.dumps([name, told]), flush=True)
for number, (name, case) in enumerate(json.load(open('/run/cases.json')).items()):
    tried(number, name, case)
"""
CASES: dict[str, dict[str, Any]] = {
    "by the book": {"module": [], "method": "secure"},
    "with descriptors": {"module": ["dsense=1"], "method": "secure"},
    "large sectors": {"module": ["sector_size=4096"], "method": "secure"},
    "guarded sectors": {"module": ["dif=1", "dix=1"], "method": "secure"},
    "thin": {"module": ["lbpu=1", "lbpws=1", "lbprz=1"], "method": "secure"},
}  # fmt: skip


def shell(guest: Guest) -> None:
    """Without the resident agent."""
    guest.wait_for("# ", BOOT_S)
    guest.do("systemctl stop bms-agent-ramdisk", DO_S)


@pytest.fixture(scope="module")
def told(ramdisk: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of each of scsi_debug's disks, in one guest."""
    kernel = json.loads((ramdisk / "manifest.json").read_text())["kernel"]
    script = Path(__file__).parent / "debug-modules"
    built = subprocess.run([script, f"linux-image-{kernel}"], stdout=subprocess.PIPE, text=True, check=True)
    folder = tmp_path_factory.mktemp("scsi")
    initrd = folder / "initrd"
    first, more = (ramdisk / "initrd").read_bytes(), Path(built.stdout.split()[-1], "more.cpio").read_bytes()
    initrd.write_bytes(first + bytes(-len(first) % 4) + more)  # aligned (init/initramfs.c)
    words = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(initrd),
             "-append", KERNEL]  # fmt: skip
    found: dict[str, Any] = {}
    with booted(folder / "guest", filled(folder / "S1"), *words) as guest:
        shell(guest)
        put(guest, "/run/trying.py", TRYING)
        put(guest, "/run/cases.json", json.dumps(CASES))
        said = guest.do("python3 /run/trying.py 2>&1", 3 * DO_S)
        for line in said.splitlines():
            if line.startswith("told "):
                name, facts = json.loads(line.removeprefix("told "))
                found[name] = facts
        assert found.keys() == CASES.keys(), said
        guest.type("poweroff -f\n")
        guest.wait_for_end(BOOT_S)
    return found


@pytest.mark.parametrize("name", ["by the book", "with descriptors", "large sectors", "thin"])
def test_a_disk_by_the_book_is_erased(told: dict[str, Any], name: str) -> None:
    """Whatever its sense's format, its sectors, and what it gives for what it does not hold. It says that it has no
    SANITIZE, is zeroed, and every canary was on it and is gone.
    """
    facts = told[name]
    (one,) = (one for path, one in facts["erased"].items() if path.startswith("/dev/sd"))

    assert facts["sense"] == ["ready, no sanitize under way"] and facts["able"][0].startswith("means=() notes=()")
    assert (one["outcome"], one["means"], one["nist"]) == ("erased", "zero", "clear"), one
    assert one["samples"]["canaries"] == one["samples"]["zero"] == one["samples"]["read"] > 0
    assert facts["disks"][0][4] == (4096 if name == "large sectors" else 512)


def test_one_that_cannot_be_read_back_is_not_called_erased(told: dict[str, Any]) -> None:
    """Its sectors have guards, which scsi_debug leaves wrong where it is told to write the same everywhere: the disk is
    set apart by its serial, and the machine's other one is erased.
    """
    facts = told["guarded sectors"]
    (one,) = (one for path, one in facts["erased"].items() if path.startswith("/dev/sd"))

    assert (one["outcome"], one["nist"]) == ("unproven", "none") and "could not be read back" in one["evidence"]
    assert facts["erased"]["/dev/vda"]["outcome"] == "erased"
