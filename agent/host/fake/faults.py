# SPDX-License-Identifier: Apache-2.0
"""The fault plan: door calls are counted, and one of them can fail, or be where the agent dies; or several can.

Run an operation once with `FaultPlan()` to learn its N calls; then N times with `FaultPlan(at=k, effect=…)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import wraps
from threading import Lock
from typing import TYPE_CHECKING, ClassVar, Concatenate, ParamSpec, TypeVar, assert_never

from agent.errors import AgentError, HostError

if TYPE_CHECKING:
    from agent.host.fake.machine import Machine

D = TypeVar("D", bound="FakeDoor")
P = ParamSpec("P")
R = TypeVar("R")


class Died(BaseException):
    """The agent's process ended here. No `except Exception` may catch it: after death nothing runs."""


class Effect(Enum):
    """What happens at the chosen call."""

    FAIL = "the door raises its error, and nothing was done"
    FAIL_AFTER = "it was done, and the door raises its error all the same"
    BREAK = "the door raises its error, and does so from then on"
    DIE_BEFORE = "the process dies, and nothing was done"
    DIE_AFTER = "it was done, and the process dies before it learns so"


@dataclass
class FaultPlan:
    """Counts the calls of one process; `at` is the number of the call, from 1, that has the effect. So many calls after
    it (`then_after`) the process dies, if it is not at its end before: in the middle of what it makes of a failure.
    """

    at: int | None = None
    effect: Effect = Effect.FAIL
    then_after: int | None = None
    calls: list[str] = field(default_factory=list)
    dead: bool = False
    broken: str | None = None
    lock: Lock = field(default_factory=Lock, repr=False)

    def through(self, call: str, failure: type[AgentError], act: Callable[[], R]) -> R:
        """Do `act`, or what the plan says instead. Once dead, every call of every thread dies."""
        with self.lock:
            if self.dead:
                raise Died(f"{call}, after death")
            self.calls.append(call)
            effect = self._effect(len(self.calls), door_of(call))
            self.dead = effect in DEADLY
        match effect:
            case None:
                return act()
            case Effect.FAIL | Effect.BREAK:
                raise failure(call, f"failure planned for call {self.at}")
            case Effect.FAIL_AFTER:
                act()
                raise failure(call, f"failure planned for call {self.at}, after it was done")
            case Effect.DIE_BEFORE:
                raise Died(f"before {call}")
            case Effect.DIE_AFTER:
                act()
                raise Died(f"after {call}")
            case _:
                assert_never(effect)

    def _effect(self, number: int, door: str) -> Effect | None:
        if self.at is None or number < self.at:
            return None
        if number == self.at:
            self.broken = door if self.effect is Effect.BREAK else None
            return self.effect
        if self.then_after is not None and number == self.at + self.then_after:
            return Effect.DIE_AFTER
        return Effect.FAIL if door == self.broken else None


DEADLY = (Effect.DIE_BEFORE, Effect.DIE_AFTER)
WRITING = ("write", "append", "save", "truncate", "rename")


def door_of(call: str) -> str:
    """What breaks with it: the whole door; of files, what writes them, as on a disk that is full."""
    noun, _, rest = call.partition(".")
    return f"{noun}, written" if noun == "files" and rest.startswith(WRITING) else noun


class FakeDoor:
    """What every fake door has: the machine behind it and the plan of its faults."""

    noun: ClassVar[str] = "door"
    failure: ClassVar[type[AgentError]] = HostError

    def __init__(self, machine: Machine, faults: FaultPlan) -> None:
        self.machine = machine
        self.faults = faults


def counted(method: Callable[Concatenate[D, P], R]) -> Callable[Concatenate[D, P], R]:
    """Make a method one door call: counted, and subject to the plan."""

    @wraps(method)
    def call(door: D, /, *args: P.args, **kwargs: P.kwargs) -> R:
        name = call_name(door.noun, method.__name__.lstrip("_"), args)
        return door.faults.through(name, door.failure, lambda: method(door, *args, **kwargs))

    return call


def call_name(noun: str, method: str, args: tuple[object, ...]) -> str:
    """A door call in one word: "block.opened(/dev/sda)"."""
    return f"{noun}.{method}({', '.join(str(each) for each in args if isinstance(each, str | int))})"
