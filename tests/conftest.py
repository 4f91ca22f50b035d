# SPDX-License-Identifier: Apache-2.0
"""What every test stands on: root tests are left out loudly, fast ones are guarded, golden files have one flag."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.guard import Guard

GUARD = Guard()
NEEDS_ROOT = ("root", "machine")
UNGUARDED = (*NEEDS_ROOT, "commands")
LEFT_OUT = "needs root: run as root to include it"
LONG = "ironic_long"

# How fast an example runs says how busy the machine is, not whether the code is right.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    """One flag rewrites every golden file, the diff of which is then to be reviewed; one adds what takes too long."""
    parser.addoption("--rewrite-golden", action="store_true", help="write what is there now into the golden files")
    parser.addoption("--ironic", action="store_true", help="run the long flows through real Ironic, too")


def pytest_configure(config: pytest.Config) -> None:
    """Markers besides those of pyproject.toml."""
    config.addinivalue_line("markers", "commands: fast, but starts commands on purpose (the run door, linters)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes comes last, or is left for those who ask. Without root, tests that need it are skipped."""
    if not config.getoption("--ironic"):
        long = [item for item in items if item.get_closest_marker(LONG)]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)
    items.sort(key=lambda item: item.get_closest_marker("machine") is not None)
    if os.geteuid() == 0:
        return
    for item in items:
        if any(item.get_closest_marker(name) for name in NEEDS_ROOT):
            item.add_marker(pytest.mark.skip(reason=LEFT_OUT))


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


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a golden file, or write it there under `--rewrite-golden`."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--rewrite-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"differs from {path}; --rewrite-golden writes it anew"

    return compare
