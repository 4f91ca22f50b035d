# SPDX-License-Identifier: Apache-2.0
"""THE TABLE of commands: the fourteen that Ironic gives (ironic/drivers/modules/agent_client.py)."""

from __future__ import annotations

import base64
from threading import Event
from typing import Any

from pydantic import ValidationError

from agent.api.ironic import steps
from agent.api.ironic.commands import Command, Failed, Kind, Outcome
from agent.api.ironic.fetched import completed
from agent.api.ironic.raid import has_arrays
from agent.api.ironic.refusal import bad_request
from agent.api.ironic.translate import select_request, skipped
from agent.api.ironic.work import Work
from agent.errors import PreconditionError
from agent.host.rescue import HASH
from agent.model.frozen import faults
from agent.model.ironic.wire import MASTER, VERSION, CommandError, Node, Status, StepAsked
from agent.model.request import PowerOffRequest, RebootRequest

VERSIONS = {MASTER: VERSION}
LEAVE_S = 1.0
"""From the answer to the end of this boot: it must have left the machine."""
Params = dict[str, Any]


def table(work: Work) -> dict[str, Command]:
    """All of them, bound to a process."""
    rows: dict[str, Command] = {}
    for kind in steps.KINDS:
        rows[f"{kind}.get_{kind}_steps"] = Command(Kind.DONE, listing(work, kind))
        rows[f"{kind}.execute_{kind}_step"] = Command(Kind.STARTED, executing(work, kind), asked_rightly)
    return rows | {
        "standby.get_partition_uuids": Command(Kind.DONE, lambda *_: Outcome(result=work.partition_uuids())),
        "image.install_bootloader": Command(Kind.STARTED, selecting(work)),
        "standby.sync": Command(Kind.DONE, syncing(work)),
        "standby.power_off": Command(Kind.STARTED, ending(work, PowerOffRequest)),
        "standby.run_image": Command(Kind.STARTED, ending(work, RebootRequest)),
        "system.lockdown": Command(Kind.DONE, locking(work)),
        "log.collect_system_logs": Command(Kind.LOOKED, collecting(work)),
        "rescue.finalize_rescue": Command(Kind.DONE, rescuing(work), has_a_hash),
    }


def listing(work: Work, kind: steps.Kind) -> Any:
    """The steps that there are, and who offers them, in a version that never changes within a boot."""

    def run(_: str, __: Params) -> Outcome:
        found = steps.listed(kind, work.site.inject_priority)
        return Outcome(result={f"{kind}_steps": found, "hardware_manager_version": VERSIONS})

    return run


def asked_rightly(params: Params) -> None:
    """Raises `Refusal`."""
    read(params)


def read(params: Params) -> tuple[StepAsked, Node]:
    """The step, and the node. Raises `Refusal`."""
    try:
        return StepAsked.model_validate(params.get("step")), Node.model_validate(params.get("node"))
    except ValidationError as error:
        raise bad_request(f"Invalid command: step and node: {faults(error)}") from None


def executing(work: Work, kind: steps.Kind) -> Any:
    """Do a step. Ironic knows a step's end by the two names that come back."""

    def run(command_id: str, params: Params) -> Outcome:
        asked, node = read(params)
        work.site.record.learn(node)
        used = params.get(f"{kind}_version")
        if used and used != VERSIONS:
            return Outcome(Status.CLEAN_VERSION_MISMATCH, error=mismatch(used))
        step = steps.known(kind, asked.interface, asked.step)
        echo = {f"{kind}_step": {"interface": asked.interface, "step": asked.step}}
        if step.writes_disks and has_arrays(node):
            work.assemble(skipped(node))
        if asked.step in steps.ON_ROOT_DISK:
            work.await_root_disk()
        args = completed(work.site.host, asked.args, work.site.image_login, work.site.writer)
        wanted = steps.Asked(command_id, node, args, named_of(params), work.site.guards_shared)
        for request in step.before(wanted):
            work.carry_out(request)
        result = work.carry_out(step.request(wanted))
        answer = step.kept(wanted) if step.kept else steps.told(asked.step, result)
        return Outcome(result={f"{kind}_result": answer, **echo})

    return run


def named_of(params: Params) -> dict[str, Any]:
    """What a URL of a step's may name fields of."""
    return {name: params.get(name) or [] for name in ("node", "ports")}


def selecting(work: Work) -> Any:
    """Let the firmware boot what was written. The image's own loader is there already: nothing of it is run."""

    def run(command_id: str, params: Params) -> Outcome:
        if params.get("target_boot_mode") == "uefi" and not work.site.host.efi.is_there():
            raise PreconditionError(
                "selecting what the firmware boots", "this machine was booted by a BIOS, not by UEFI"
            )
        try:
            work.carry_out(select_request(command_id, work.site.record.node, params))
        except Failed as failed:
            if not work.site.needs_no_boot_entry:
                raise
            return Outcome(result={"result": f"no boot entry: {failed}"})
        return Outcome()

    return run


def mismatch(used: object) -> CommandError:
    """The steps were named by another ramdisk: Ironic begins anew."""
    return CommandError(
        type="VersionMismatch",
        code=409,
        message="Hardware managers version mismatch, reload agent with correct version",
        details=f"Current versions: {VERSIONS}, versions used by ironic: {ascii(used)[:500]}",
    )


def syncing(work: Work) -> Any:
    """All that was written is on the medium."""

    def run(_: str, __: Params) -> Outcome:
        work.flush()
        return Outcome()

    return run


def ending(work: Work, end: type[PowerOffRequest] | type[RebootRequest]) -> Any:
    """End this boot, a moment after the answer."""

    def run(command_id: str, _: Params) -> Outcome:
        work.site.host.clock.wait(Event(), LEAVE_S)
        work.carry_out(end(request_id=command_id, node_id=work.site.record.node.uuid))
        return Outcome()

    return run


def locking(work: Work) -> Any:
    """Nobody reaches this machine any more: Ironic asks until nothing answers."""

    def run(_: str, __: Params) -> Outcome:
        work.site.over(True)
        return Outcome()

    return run


def collecting(work: Work) -> Any:
    """All that helps to find out what happened."""

    def run(_: str, __: Params) -> Outcome:
        return Outcome(result={"system_logs": base64.b64encode(work.site.logs()).decode()})

    return run


def has_a_hash(params: Params) -> None:
    """Raises `Refusal` for what is no hash, without a word of it. Any status of 500 would tell Ironic that the ramdisk
    is outdated.
    """
    if params.get("hashed") is not True or HASH.fullmatch(str(params.get("rescue_password"))) is None:
        raise bad_request("Invalid command: rescue_password must be a crypt(5) hash, with hashed=true")


def rescuing(work: Work) -> Any:
    """The machine is its owner's to log in to; our API ends."""

    def run(_: str, params: Params) -> Outcome:
        work.site.rescue(params["rescue_password"])
        work.site.over(False)
        return Outcome()

    return run
