# SPDX-License-Identifier: Apache-2.0
"""A disk that fails as it is told to, in a guest: a file ─► loop ─► dm-flakey, dm-error ─► the kernel's own SCSI target
─► a SCSI disk, which meets the agent as any other.
"""

from __future__ import annotations

from typing import Any

FAILING = """\
import json, os, subprocess, sys, time
sys.path.insert(0, '/usr/lib/bms-agent')
from agent.errors import AgentError
from agent.host.real import host
from agent.inventory.disk import disks
from agent.model.erasing.certificate import IN_RESULT, SignedCertificate
from agent.model.request import REQUEST
from agent.operations import Operations
MIB, SERIAL = 1 << 20, 'failing1'
SECTORS = 40 * MIB // 512
TARGET, CORE = '/sys/kernel/config/target', '/sys/kernel/config/target/core/iblock_0/failing'
PORT = TARGET + '/loopback/naa.5001405000000001/tpgt_1'
SOUND = '0 {sectors} linear {node} 0'
machine = host()
subprocess.run(['dmesg', '-n', '1'], check=True)
def run(*argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
def put(path, text):
    with open(path, 'w') as file:
        file.write(text)
def plugged():
    run('modprobe', 'dm_mod')
    for name in ('dm-flakey', 'configfs', 'target_core_mod', 'target_core_iblock', 'tcm_loop'):
        if not os.path.isdir('/sys/module/' + name.replace('-', '_')):
            run('insmod', f'/usr/lib/debug-modules/{name}.ko')
    if not os.path.isdir(TARGET):
        run('mount', '-t', 'configfs', 'none', '/sys/kernel/config')
    with open('/run/failing', 'wb') as file:
        for _ in range(40):
            file.write((b'what a tenant wrote. ' * 50000)[:MIB])
    node = run('losetup', '--find', '--show', '/run/failing')
    run('dmsetup', 'create', 'failing', '--table', SOUND.format(sectors=SECTORS, node=node))
    os.makedirs(CORE)
    put(CORE + '/control', 'udev_path=/dev/mapper/failing')
    put(CORE + '/wwn/vpd_unit_serial', SERIAL)
    put(CORE + '/enable', '1')
    os.makedirs(PORT)
    put(PORT + '/nexus', 'naa.5001405000000002')
    os.makedirs(PORT + '/lun/lun_0')
    os.symlink(CORE, PORT + '/lun/lun_0/it')
    for _ in range(100):
        run('udevadm', 'settle')
        found = [one for one in disks(machine) if str(one.vendor) == 'LIO-ORG']
        if found:
            return node, found[0]
        time.sleep(0.1)
    raise AssertionError([str(one) for one in disks(machine)])
def pulled(node):
    os.unlink(PORT + '/lun/lun_0/it')
    os.rmdir(PORT + '/lun/lun_0')
    put(PORT + '/nexus', 'NULL')
    for path in (PORT, os.path.dirname(PORT), CORE, os.path.dirname(CORE)):
        os.rmdir(path)
    run('udevadm', 'settle')
    run('dmsetup', 'remove', '--retry', 'failing')
    run('losetup', '--detach', node)
def tried(name, case):
    node, disk = plugged()
    tables = [one.format(sectors=SECTORS, node=node) for one in case['table']]
    told = {'disk': [disk.path, disk.serial], 'at': []}
    def fail():
        run('dmsetup', 'suspend', '--noflush', 'failing')
        run('dmsetup', 'reload', 'failing', '--table', '\\n'.join(tables))
        run('dmsetup', 'resume', 'failing')
    def advance(done, total, *said):
        told['last'] = [done, total, *said]
        if not told['at'] and done >= case['from']:
            told['at'].append(done)
            fail()
    doer = Operations(machine, 'ramdisk', '/run/failing-spool')
    request = dict(case['request'])
    if request['verb'] == 'disk.erase':
        request['serials'] = [disk.serial]
    else:
        request['root_device'] = {'serial': disk.serial}
    result = {}
    try:
        plan = doer.plan(REQUEST.validate_json(json.dumps(request)))
        told['steps'] = [step.kind for step in plan.steps]
        if not case['from']:
            told['at'].append(0)
            fail()
        for step in plan.steps:
            result |= doer.do(step, advance)
        told['done'] = sorted(result)
    except AgentError as error:
        told['error'], found = [error.code, str(error)], error.found or {}
        result |= found
    if IN_RESULT in result:
        signed = SignedCertificate.model_validate_json(result[IN_RESULT])
        told['erased'] = [json.loads(one.model_dump_json()) for one in signed.opened().disks]
    run('dmsetup', 'suspend', '--noflush', 'failing')
    run('dmsetup', 'reload', 'failing', '--table', SOUND.format(sectors=SECTORS, node=node))
    run('dmsetup', 'resume', 'failing')
    pulled(node)
    with open('/run/failing', 'rb') as file:
        content = file.read()
    told['head'], told['tenant'] = content[:16].hex(), content.count(b'tenant')
    print('told', json.dumps([name, told]), flush=True)
for name, case in json.load(open('/run/failing.json')).items():
    tried(name, case)
"""
FLAKEY = "0 {{sectors}} flakey {{node}} 0 0 3600 1 {}"
BAD_PLACE = ["0 20480 linear {node} 0", "20480 4096 error", "24576 57344 linear {node} 24576"]
"""The eleventh and the twelfth MiB: an erasure takes samples of each."""
WAYS: dict[str, list[str]] = {
    "no write": [FLAKEY.format("error_writes")],
    "drops writes": [FLAKEY.format("drop_writes")],
    "no read": [FLAKEY.format("error_reads")],
    "a bad place": BAD_PLACE,
    "an unreadable place": [
        BAD_PLACE[0], "20480 4096 flakey {node} 20480 0 3600 1 error_reads", BAD_PLACE[2]],
    "gone": ["0 {sectors} error"],
}  # fmt: skip
BEGUN = 4 << 20


def cases(image: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each way to fail, for the erasure and for the writer of that image; for this one also once it is under way."""
    erase = {"verb": "disk.erase", "request_id": "r", "node_id": "n1", "quarantine": True, "method": "secure"}
    deploy = {"verb": "image.deploy", "request_id": "r", "node_id": "n1", "image": image, "overwrite": True,
              "reboot": False, "verify": True}  # fmt: skip
    made = {}
    for verb, request in (("erase", erase), ("deploy", deploy)):
        for way, table in WAYS.items():
            made[f"{verb}: {way}"] = {"table": table, "request": request, "from": 0}
        made[f"{verb}: sound"] = {"table": ["0 {sectors} linear {node} 0"], "request": request, "from": 0}
    for way, table in WAYS.items():
        made[f"deploy: {way}, later"] = {"table": table, "request": deploy, "from": BEGUN}
    for way in ("drops writes", "no write"):
        request = deploy | {"verify": False}
        made[f"deploy, not verified: {way}"] = {"table": WAYS[way], "request": request, "from": 0}
    return made
