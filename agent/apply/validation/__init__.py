# SPDX-License-Identifier: Apache-2.0
"""Doing `Validate`: each trial in turn, a verdict for each thing that it tests. One that fails keeps none from running.

The loads are burn-in's (`agent.apply.burn_in`); what is beside them here is judged, not only endured. All of it ends
with its process, or when it is called off: threads and memory, nothing is mounted, no command is started.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agent.apply.burn_in.course import Course
from agent.apply.burn_in.marks import Counts, counting
from agent.apply.validation import disks, links, modules, processors, reading, writing
from agent.apply.validation.limits import more_s
from agent.apply.validation.trials import Bench, Doing, Sight, Verdicts, degraded, failed, skipped
from agent.apply.validation.watch import Watch
from agent.errors import AgentError, Recalled, TimeOver, ValidationFailed
from agent.host.doors import Host
from agent.model.burn_in import Verdict
from agent.model.job import Advance, Result
from agent.model.plan import DiskMustBe
from agent.model.validation import WORST_FIRST, Trial, Validate, Validated, codes
from agent.program.log import Logger

TESTS: Mapping[str, Doing] = {
    "cpu.answers": processors.answers,
    "cpu.load": processors.load,
    "memory.errors": modules.errors,
    "memory.patterns": modules.patterns,
    "memory.bandwidth": modules.bandwidth,
    "disk.health": disks.health,
    "disk.self_test": disks.self_tests,
    "disk.link": disks.links,
    "disk.read": reading.read,
    "disk.surface": reading.surface,
    "disk.write": writing.write,
    "network.link": links.state,
    "network.neighbour": links.neighbours,
    "network.gateway": links.gateways,
}
THIS_MACHINE = "this machine"
log = Logger("validation")


def validate(
    host: Host, step: Validate, advance: Advance, sight: Sight, hold: Callable[[DiskMustBe], None] = lambda _: None
) -> Result:
    """Returns every verdict, for people and as JSON. Raises `ValidationFailed`, which has all of them too, where one
    failed or nothing could be tested. The disks are `hold`'s to look at again before they are written to.
    """
    watch = Watch(host.clock, advance, len(step.trials), step.time_limit_s)
    course = Course(host, step.record_path, watch)
    course.begin()
    advance(0, None, "looking at the hardware")
    bench = Bench(host, step, course, sight, sight.hardware(), hold)
    found: list[Verdict] = []
    for trial in step.trials:
        watch.begin(trial)
        verdicts = course.found(trial.test) or done(bench, trial, watch)
        for one in verdicts:
            tell = log.debug if one.state in ("passed", "skipped") else log.warning
            tell("test", test=one.test, of=one.subject, state=one.state, code=one.code, told=one.told)
        found += verdicts
        course.keep(trial.test, verdicts)
    validated = Validated.of(found)
    result = flat(validated) | course.told()
    course.end()
    if validated.state in ("failed", "skipped"):
        error = ValidationFailed("validating this machine", worst(validated))
        error.found = result
        raise error
    return result


def done(bench: Bench, trial: Trial, watch: Watch) -> Verdicts:
    """What came of a test, with what the hardware has counted meanwhile. To be recalled is no finding."""
    if watch.is_over:
        return (skipped(trial, codes.TIME_OVER, "the time of all tests was over before it began"),)
    with counting(bench.host.files) as counted_more:
        try:
            bench.course.hanging = ()
            watch.allow(more_s(bench, trial))
            bench.course.tell("begins")
            found = TESTS[trial.test](bench, trial)
        except TimeOver as error:
            found = (cut_short(trial, bench.course.hanging, error.evidence),)
        except Recalled:
            raise
        except AgentError as error:
            found = (failed(trial, error.code, str(error)),)
        return (*found, *counts(trial, counted_more()))


def cut_short(trial: Trial, hanging: Sequence[str], why: str) -> Verdict:
    """Which says nothing of the hardware; only what does not move any more hangs."""
    if hanging:
        return failed(trial, codes.HANGS, f"{why}, and does not come back: {', '.join(hanging)}")
    return skipped(trial, codes.TIME_OVER, why)


def counts(trial: Trial, more: Counts) -> Verdicts:
    """What was counted while a test ran is a finding of its own."""
    return tuple(
        (failed if mark.is_fatal else degraded)(
            trial, mark.code, f"{count} {mark.name} while it ran", THIS_MACHINE, {mark.name: count}
        )
        for mark, count in more.items()
    )


def worst(validated: Validated) -> str:
    """What an operator has to read first."""
    if validated.state == "skipped":
        return f"nothing was tested: {'; '.join(map(str, validated.verdicts))}"
    bad = [one.model_copy(update={"figures": {}}) for one in validated.verdicts if one.state == "failed"]
    return "; ".join(map(str, bad))


def flat(validated: Validated) -> Result:
    """As a job reports it: how many of each, and all of it as JSON."""
    counted: Result = {state: validated.count(state) for state in WORST_FIRST}
    return {"verdict": validated.state, **counted, "report": validated.model_dump_json()}
