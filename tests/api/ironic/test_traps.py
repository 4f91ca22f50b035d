# SPDX-License-Identifier: Apache-2.0
"""What breaks a clone of Ironic's agent that looks right: the 29 traps T1 … T29 of the contract. Most have their test
beside what they are about; those that have no such place are here. Each trap is named by a test's first words, and that
none is forgotten is a test, too.
"""

from __future__ import annotations

import ast
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from agent.api.ironic.commands import WAIT_S, outcome_of
from agent.api.ironic.record import Order, Record
from agent.api.ironic.table import table
from agent.api.ironic.work import SYNC_TIMEOUT_S, Site, Work
from agent.host.fake import FakeHost, Output
from agent.ironic import RETRY_S, Introduced, again_s, callback_url, identity_of
from agent.link.ironic.client import Ironic
from agent.model.config_drive import SIZE_BYTES
from agent.model.image import ImagePolicy
from agent.model.ironic.asked import LARGEST_BODY_BYTES
from agent.model.ironic.parameters import Parameters
from agent.model.ironic.wire import Lookup
from tests.api.ironic.asked import DRIVE, node
from tests.api.ironic.served import BOOT, DIRECTORY, NODE, TOKEN, UUID, Agent, identity, serving, until
from tests.apply.disks import machine
from tests.link.answers import answering
from tests.link.test_ironic import BEAT, LOOKUP

TESTS = Path(__file__).resolve().parents[2]
TRAPS = set(range(1, 30))
COMMAND_TIMEOUT_S = 60.0
"""[agent]command_timeout."""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """An agent on a machine with a disk and a BIOS."""
    found = machine(64 << 20)
    found.programs["sync"] = lambda *_: Output()
    with serving(FakeHost.of(found), tmp_path) as made:
        yield made


def docstrings() -> Iterator[str]:
    """What each test says of itself."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for one in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(one, ast.FunctionDef) and one.name.startswith("test_"):
                yield ast.get_docstring(one) or ""


def test_every_trap_has_a_test_that_names_it() -> None:
    """A trap that nobody names is one that nobody looks at when the code around it changes."""
    held = {int(number) for text in docstrings() for number in re.findall(r"T([0-9]{1,2})(?=[,) ])", bracketed(text))}

    assert TRAPS - held == set()


def bracketed(text: str) -> str:
    """What stands in brackets: (T2, T16)."""
    return " ".join(re.findall(r"\(T[0-9][^)]*\)", text))


def test_what_is_waited_for_comes_in_time(agent: Agent) -> None:
    """Commands that Ironic sends with wait=true are done when they are answered, and nothing that they wait for takes
    as long as Ironic waits: it would send them again (T8).
    """
    for name in ("clean.get_clean_steps", "deploy.get_deploy_steps", "service.get_service_steps", "standby.sync",
                 "standby.get_partition_uuids", "log.collect_system_logs"):  # fmt: skip
        assert agent.post(name, {"node": node(), "ports": []}, wait=True)["command_status"] == "SUCCEEDED"

    assert max(WAIT_S, SYNC_TIMEOUT_S) < COMMAND_TIMEOUT_S


def test_the_boot_loader_is_polled_for(agent: Agent) -> None:
    """`install_bootloader` is answered while it runs, and found by its id until it has ended (T9)."""
    begun = agent.post("image.install_bootloader", {"root_uuid": "0x1", "target_boot_mode": "bios"})
    assert (begun["status"], begun["command_status"], begun["command_result"]) == (200, "RUNNING", None)

    until(lambda: agent.get(f"/v1/commands/{begun['id']}").json()["command_status"] == "SUCCEEDED")


def test_a_text_is_no_result(tmp_path: Path) -> None:
    """Whatever a command has to say, its result is an object or nothing (T12)."""
    made = machine(64 << 20)
    made.variables = {"Timeout": b"\0\0"}
    host = FakeHost.of(made)
    record = Record(host.files, DIRECTORY, BOOT)
    record.open(identity(), NODE)
    site = Site(host, record, bytes, lambda _: None, lambda _: None, needs_no_boot_entry=True)
    rows = table(Work(site, DIRECTORY, BOOT, ImagePolicy()))
    told = outcome_of(rows["image.install_bootloader"], Order(id="x", name="image.install_bootloader", params={}))

    assert told.error is None and told.result is not None
    assert set(told.result) == {"result"} and str(told.result["result"]).startswith("no boot entry: ")


@pytest.mark.parametrize("given", [secrets.token_urlsafe(), "t" * 43], ids=("by lot", "of one letter"))
def test_a_token_as_ironic_makes_it(tmp_path: Path, given: str) -> None:
    """43 letters of base64, taken as they are: all of them count, and so does nothing else (T17)."""
    config = {"heartbeat_timeout": 300, "agent_token": given}
    lookup = Lookup.model_validate({"node": {"uuid": UUID}, "config": config})
    found = identity_of(Parameters(), Introduced("192.0.2.1", "", "", lookup))

    assert len(given) == 43 and found.token.get_secret_value() == given


def test_versions_that_are_asked_for() -> None:
    """Below 1.62 there is no token, below 1.68 no certificate, below 1.72 no message (T18); and an inspection is posted
    without any, as older hooks want it (T19).
    """
    with answering((200, json.dumps(LOOKUP)), (202, ""), (202, f'{{"uuid": "{UUID}"}}')) as server:
        ironic = Ironic([server.url], callbacks=[f"{server.url}/v1/continue_inspection"])
        ironic.lookup([], None)
        ironic.heartbeat(UUID, BEAT)
        ironic.inspected(b"{}")

    lookup, beat, inspection = server.versions
    assert lookup is not None and tuple(map(int, lookup.split("."))) >= (1, 62)
    assert beat is not None and tuple(map(int, beat.split("."))) >= (1, 72)
    assert inspection is None


@pytest.mark.parametrize("path", ["/v1/commands/", "/v1/commands", "/commands/", "/commands"])
def test_with_and_without_a_slash(agent: Agent, path: str) -> None:
    """Ironic calls with one, IPA's other friends without, or without a version: all of it is one place (T25)."""
    assert agent.get(path).json() == {"commands": []}
    order = {"name": "standby.sync", "params": {}}
    assert agent.ask("POST", path, TOKEN, {"wait": "true"}, json=order).json()["command_status"] == "SUCCEEDED"


def test_a_config_drive_comes_three_times(agent: Agent) -> None:
    """In the arguments, in image_info and in the node: an order of so many megabytes is read; there is room for the
    largest drives, whose content is packed well enough to come in base64 (T26).
    """
    drive = Random(1).randbytes(6 << 20).hex()
    args = {"image_info": {"configdrive": drive}, "configdrive": drive}
    step = {"interface": "deploy", "step": "nothing", "args": args}
    params = {"step": step, "node": node(instance_info={"configdrive": drive})}
    answer = agent.post("deploy.execute_deploy_step", params)

    assert (answer["status"], answer["command_name"]) == (200, "execute_deploy_step")
    assert len(DRIVE) < LARGEST_BODY_BYTES // 3 and LARGEST_BODY_BYTES >= 2 * SIZE_BYTES


def test_refused_heartbeats_come_later() -> None:
    """What was lost, a 409 too, is sent again in five to ten seconds, as IPA does (T29); what Ironic refuses, ever
    later, and no later than it would be sent anyway.
    """
    who = identity()
    for refusals in (0, 1):
        assert all(RETRY_S <= again_s(who, refusals) <= 2 * RETRY_S for _ in range(99))
    assert all(2 * RETRY_S <= again_s(who, 2) <= 4 * RETRY_S for _ in range(99))
    assert all(again_s(who, many) <= 0.6 * who.heartbeat_timeout_s for many in (5, 8, 50, 10_000))
    assert min(again_s(who, many) for many in range(8, 99)) >= 0.3 * who.heartbeat_timeout_s


def test_ironic_calls_by_https() -> None:
    """Nothing else is taken by a conductor that requires TLS, be the address of either family (T4)."""
    assert callback_url("192.0.2.1", 9999) == "https://192.0.2.1:9999"
    assert callback_url("2001:db8::1", 9999) == "https://[2001:db8::1]:9999"
