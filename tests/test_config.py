# SPDX-License-Identifier: Apache-2.0
"""Settings: file, environment, kernel command line."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from agent.config import load
from agent.errors import ConfigError


@pytest.fixture
def environment() -> Iterator[None]:
    """The environment as it was, afterwards."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_defaults() -> None:
    """Without any source there are defaults, and no controller."""
    settings = load(None)
    assert settings.controller is None and settings.heartbeat_s == 60


def test_command_line_over_environment_over_file(environment: None) -> None:
    """The kernel command line wins over the environment, and that over agent.toml."""
    file = 'controller = "http://file"\nheartbeat_s = 10\npoll_s = 11\n'
    os.environ["BMS_AGENT_CONTROLLER"] = "http://environment"
    os.environ["BMS_AGENT_HEARTBEAT_S"] = "20"
    settings = load(file, "quiet bms.controller=http://cmdline?a=b bms.shell")

    assert (settings.controller, settings.heartbeat_s, settings.poll_s) == ("http://cmdline?a=b", 20, 11)
    assert settings.shell is True


@pytest.mark.parametrize(
    ("file", "cmdline", "evidence"),
    [
        ("heartbeet_s = 10", "", "heartbeet_s"),
        ("heartbeat_s = 0", "", "heartbeat_s"),
        ("heartbeat_s = ", "", "Invalid value"),
        (None, "bms.controler=http://x", "controler"),
    ],
)
def test_nonsense_is_refused(file: str | None, cmdline: str, evidence: str) -> None:
    """A key that is misspelt or a value out of range is an error that names it."""
    with pytest.raises(ConfigError, match=evidence):
        load(file, cmdline)


def test_token_does_not_print() -> None:
    """The enrolment token is in no text made of the settings."""
    settings = load(None, "bms.token=hunter2")
    assert "hunter2" not in repr(settings)
    assert settings.token is not None and settings.token.get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("file", "cmdline"),
    [('image_cache = "http://rack-cache:8481"', ""), (None, "bms.image_cache=http://rack-cache:8481")],
)
def test_the_rack_s_cache(file: str | None, cmdline: str) -> None:
    """Named in either place, it is where images are asked for first; without, nobody is."""
    assert load(file, cmdline).images.cache == "http://rack-cache:8481"
    assert load(None).images.cache is None
