# SPDX-License-Identifier: Apache-2.0
"""Files that an operator names: what is said of those that are not what they should be, or have no room."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli import app, said
from agent.cli.diagnose import save
from agent.errors import AgentError, HostError
from agent.host.block import failing
from agent.host.files import failed

MACHINE = Path(__file__).parents[1] / "machines" / "synthetic-dell-r650"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("validate --flavor", "bmsctl flavor show NAME --json"),
        ("inventory --diff", "bms-agent inventory --json"),
        ("disk verify", "bmsctl node erasure NODE --json"),
        ("network apply --plan", "bms-agent network show --config"),
        ("--machine", "bms-agent diagnose capture --to"),
    ],
)
@pytest.mark.parametrize("content", [None, b"root:x:0:0", b"\xff\xfe", b"[]"])
def test_a_file_that_is_none(words: str, hint: str, content: bytes | None, tmp_path: Path) -> None:
    """It is asked wrongly (status 2), and the answer says where the right one comes from."""
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    line = [*words.split(), str(file), *(["inventory"] if words == "--machine" else [])]
    done = CliRunner().invoke(app, line)

    if isinstance(done.exception, AgentError):
        assert done.exception.exit_status == 2 and hint in done.exception.hint
        assert str(file) in str(done.exception)
    else:
        assert done.exit_code == 2 and "does not exist" in done.output


def test_it_is_the_operators_where_the_machine_is_recorded(tmp_path: Path) -> None:
    """A flavor is held against a recorded machine: the flavor's file is here, and not in the recording."""
    flavor = tmp_path / "flavor.json"
    flavor.write_text('{"cores": 1, "ram_mb": 1024}')
    done = CliRunner().invoke(app, ["--machine", str(MACHINE), "validate", "--flavor", str(flavor)])

    assert (done.exit_code, "match" in done.output) == (0, True), done.output


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room(number: int) -> None:
    """It is said once, with what to do."""
    with pytest.raises(AgentError) as caught, failing("writing x.raw"):
        raise OSError(number, "no room")
    for error in (caught.value, failed("writing x", OSError(number, "no room"))):
        assert "Free room" in error.hint and said(error).count("no room") == 1


def test_half_a_recording_is_none(tmp_path: Path) -> None:
    """What was written goes again: it would be in the way of the next one."""
    with pytest.raises(HostError):
        save({"a": b"1", "a/b": b"2"}, tmp_path / "cap")
    with pytest.raises(HostError):
        save({"": b"1"}, Path("/proc/nowhere"))

    assert list(tmp_path.iterdir()) == []
