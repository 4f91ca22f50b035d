# SPDX-License-Identifier: Apache-2.0
"""`bms-agent inventory`: tables within 80 columns, JSON that keeps its published schema, differences."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from agent.cli import app
from agent.cli.hardware import compared, details
from agent.cli.inventory import render
from agent.cli.terminal import terminal
from agent.host.fake import FakeHost, Machine
from agent.inventory.hardware import take_in_full
from agent.model.bmc import Bmc
from agent.model.hardware import Hardware
from agent.model.hardware.tpm import Tpm
from agent.plan.differences import differences
from tests.hardware import link
from tests.inventory import equipped
from tests.machines import synthetic
from tests.model.hardware import answers

HERE = Path(__file__).parent
MACHINES: dict[str, Callable[[], Machine]] = {**synthetic.MACHINES, "equipped": equipped.machine}


def drawn(draw: Callable[[Console], None]) -> str:
    """What is shown in 80 columns, without colours."""
    out = io.StringIO()
    draw(Console(file=out, width=80))
    return re.sub(r" +$", "", out.getvalue(), flags=re.MULTILINE)


def test_what_is_shown(golden: Callable[[Path, str], None]) -> None:
    """The server whose devices answer, as an operator sees it."""
    found = take_in_full(equipped.host(), listen_s=1)
    text = drawn(lambda console: details(found, console))

    assert max(map(len, text.splitlines())) <= 80
    golden(HERE / "hardware.txt", text)


def test_what_is_not_told_is_a_dash() -> None:
    """A TPM of version 1.2 tells nothing but that; a BMC may have no address yet."""
    found = take_in_full(equipped.host()).model_copy(
        update={"tpm": Tpm(version="1.2"), "bmc": Bmc(mac="02:00:00:00:00:09")}
    )
    text = drawn(lambda console: details(found, console))

    assert "TPM      1.2, -, firmware -\n" in text and "BMC      -, -, 02:00:00:00:00:09, firmware -\n" in text


def test_texts_are_shown_as_they_are() -> None:
    """An address with `:a:` in it is that address, and a switch with an odd name is no end of the command."""
    made = equipped.machine()
    made.links["eno1"] = link("eno1", "2001:db8:a:b::1/64", up=True)
    made.announcements["eno1"] = answers.lldp((1, b"\4\2\0\0\0\0\1"), (2, b"\5eth7"), (5, b"leaf[/x]\x1b[2J"))
    found = take_in_full(FakeHost.of(made), listen_s=1)
    shown = terminal()
    shown.file, shown.width = io.StringIO(), 200
    render(found, shown)
    details(found, shown)

    text = shown.file.getvalue()
    assert "2001:db8:a:b::1/64" in text and "leaf[/x] [2J eth7" in text


def test_differences_as_they_are_shown(golden: Callable[[Path, str], None]) -> None:
    """Faults first, each with its code; nothing is told, too."""
    before = take_in_full(equipped.host(), listen_s=1)
    machine = equipped.machine()
    del machine.links["eno2"]
    machine.drivers["eno1", 3] = machine.drivers["eno1", 3].replace(b"9.20", b"9.50")
    news = differences(before, take_in_full(FakeHost.of(machine), listen_s=1))
    text = drawn(lambda console: compared(news, console))

    assert max(map(len, text.splitlines())) <= 80
    golden(HERE / "differences.txt", text)
    assert drawn(lambda console: compared((), console)) == "no differences\n"


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_json_keeps_its_schema(name: str) -> None:
    """What is printed has the fields of the published schema, and is read again as it was."""
    schema = json.loads(CliRunner().invoke(app, ["inventory", "--schema"]).output)
    found = take_in_full(FakeHost.of(MACHINES[name]()))
    text = found.model_dump_json()

    assert Hardware.model_validate_json(text) == found
    assert problems(json.loads(text), schema, schema["$defs"]) == []


def test_a_schema_that_is_not_kept() -> None:
    """The check finds what is wrong: a field too many, one that is missing, a text for a number."""
    schema = json.loads(CliRunner().invoke(app, ["inventory", "--schema"]).output)
    told: dict[str, Any] = json.loads(take_in_full(equipped.host()).model_dump_json())
    for wrong in ({**told, "new": 1}, {key: told[key] for key in told if key != "system"}, {**told, "taken_at": 5}):
        assert problems(wrong, schema, schema["$defs"])


def problems(value: Any, schema: Any, kinds: dict[str, Any], at: str = "") -> list[str]:
    """Where a value does not keep a schema, of the words that Pydantic writes."""
    if "$ref" in schema:
        return problems(value, kinds[schema["$ref"].rpartition("/")[2]], kinds, at)
    if "anyOf" in schema:
        tried = [problems(value, one, kinds, at) for one in schema["anyOf"]]
        return [] if [] in tried else [f"{at}: none of {len(tried)}", *min(tried, key=len)]
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        return [f"{at}: {value!r} is none of {schema.get('enum', schema.get('const'))}"]
    names: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
    }
    kind = schema.get("type")
    if kind == "null":
        return [] if value is None else [f"{at}: {value!r} is not null"]
    if kind and (not isinstance(value, names[kind]) or (kind != "boolean" and isinstance(value, bool))):
        return [f"{at}: {value!r} is no {kind}"]
    if kind == "array":
        of = schema.get("items", {})
        return [fault for place, one in enumerate(value) for fault in problems(one, of, kinds, f"{at}[{place}]")]
    return fields(value, schema, kinds, at) if kind == "object" else []


def fields(value: dict[str, Any], schema: Any, kinds: dict[str, Any], at: str) -> list[str]:
    """Of an object."""
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    found = [f"{at}: no {name}" for name in schema.get("required", ()) if name not in value]
    for name, one in value.items():
        if name in known or others:
            of = known.get(name) or (others if isinstance(others, dict) else {})
            found += problems(one, of, kinds, f"{at}.{name}")
        else:
            found.append(f"{at}: {name} is not known")
    return found


def test_two_things_to_compare_with() -> None:
    """Only one can be meant."""
    done = CliRunner().invoke(app, ["inventory", "--diff", "x", "--last"])

    assert done.exit_code != 0 and "--diff and --last are two" in str(done.exception)
