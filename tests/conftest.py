# SPDX-License-Identifier: Apache-2.0
"""What every test stands on: root tests are left out loudly, fast ones are guarded, golden files have one flag."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from agent.cli.machine import choose
from agent.program.log import SETTINGS
from tests.guard import Guard
from tests.libc import CLONE_NEWNS, call

GUARD = Guard()
NEEDS_ROOT = ("root", "machine")
UNGUARDED = (*NEEDS_ROOT, "commands")
LEFT_OUT = "needs root: run as root to include it"
LEFT_FOR_THOSE_WHO_ASK = {"ironic_long": "--ironic", "long": "--long"}
"""The option that adds what bears the mark."""

# How fast an example runs says how busy the machine is, not whether the code is right.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    """One flag rewrites every golden file, the diff of which is then to be reviewed; one adds what takes too long."""
    parser.addoption("--rewrite-golden", action="store_true", help="write what is there now into the golden files")
    parser.addoption("--ironic", action="store_true", help="run the long flows through real Ironic, too")
    parser.addoption("--long", action="store_true", help="run what takes an hour, too: no fault is left to the lot")
    parser.addoption("--seed", type=int, help="of everything that is drawn by lot; the header of a run names its own")
    parser.addoption("--inputs", type=int, default=10**6, help="of each parser in the long run (a million)")


def pytest_configure(config: pytest.Config) -> None:
    """Markers besides those of pyproject.toml."""
    config.addinivalue_line("markers", "commands: fast, but starts commands on purpose (the run door, linters)")
    config.addinivalue_line("markers", "long: takes too long for every run: tests/run long")
    if hasattr(config, "workerinput") and os.geteuid() == 0:
        have_mounts_of_our_own()
    if config.option.seed is None:
        config.option.seed = getattr(config, "workerinput", {}).get("seed", secrets.randbelow(2**32))


def have_mounts_of_our_own() -> None:
    """A worker beside others leaves their mounts, and they leave its: whoever makes a network namespace meanwhile takes
    a copy of what is mounted along (ip-netns(8)), and a filesystem is clean once the last copy is gone.
    """
    call("unshare", CLONE_NEWNS)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Whoever runs side by side (pytest-xdist) draws by the same seed."""
    node.workerinput["seed"] = node.config.option.seed


def pytest_report_header(config: pytest.Config) -> str:
    """How to have the same run again."""
    return f"drawn by lot: --seed {config.option.seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes comes first (beside it the rest is done), or is left for those who ask. Without root, tests
    that need it are skipped.
    """
    unasked = [mark for mark, option in LEFT_FOR_THOSE_WHO_ASK.items() if not config.getoption(option)]
    long = [item for item in items if any(map(item.get_closest_marker, unasked))]
    items[:] = [item for item in items if item not in long]
    config.hook.pytest_deselected(items=long)
    items.sort(key=how_soon)
    if os.geteuid() == 0:
        return
    for item in items:
        if any(item.get_closest_marker(name) for name in NEEDS_ROOT):
            item.add_marker(pytest.mark.skip(reason=LEFT_OUT))


def how_soon(item: pytest.Item) -> int:
    """Machines keep one processor busy and mostly wait for it: what is fast fits in at the end."""
    markers = ("machine", "root", "commands")
    return next((place for place, name in enumerate(markers) if item.get_closest_marker(name)), len(markers))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say at the very end how much was not run, so that a green line is not taken for more than it is."""
    yield
    count = sum(LEFT_OUT in str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if count:
        terminalreporter.section(f"LEFT OUT (needs root): {count} tests", red=True, bold=True)


@pytest.fixture(autouse=True)
def guarded(request: pytest.FixtureRequest) -> Iterator[None]:
    """A fast test starts no process and talks to nobody but itself."""
    GUARD.is_up = not any(request.node.get_closest_marker(name) for name in UNGUARDED)
    yield
    GUARD.is_up = False


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """A command that runs within a test's own process sends all logs to that command's standard error, which ends: they
    go where they went before.
    """
    yield
    SETTINGS.forgotten()


@pytest.fixture(autouse=True)
def this_machine() -> Iterator[None]:
    """A command line that named a recorded machine did so for its own process, which is the tests'."""
    yield
    choose(None, None)


@pytest.fixture
def lot(request: pytest.FixtureRequest) -> random.Random:
    """For what is drawn by lot: by the run's seed, and the test's name."""
    return random.Random(f"{request.config.option.seed} {request.node.nodeid}")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a golden file, or write it there under `--rewrite-golden`."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--rewrite-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"differs from {path}; --rewrite-golden writes it anew"

    return compare
