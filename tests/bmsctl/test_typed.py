# SPDX-License-Identifier: Apache-2.0
"""What people type wrong: each answer names the field or the file, in words that are not those of our libraries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bmsctl.keyboard import Keyboard
from tests.controller.machine import Machine
from tests.controller.world import World

NAME = "a name is of 1 to 63 letters without accents, digits, '.', '_' and '-', a letter or digit first"
RULE = "security-group rule add default --direction in"
WRONG = [
    ("flavor create猫 --cores 1", "name", NAME),
    ("flavor create\x1b[31m --cores 1", "name", NAME),
    ("flavor create --cores 1", "name", NAME),
    ("vpc create a --cidr 10.0.0.1/8", "cidr", "it is no IPv4 network such as 10.1.0.0/16"),
    ("eip create 10.300.0.1", "address", "it is no IPv4 address"),
    (f"{RULE} --protocol xyz", "protocol", "Input should be 'tcp', 'udp' or 'icmp', or it is no number"),
    (f"{RULE} --protocol tcp --port 22-10", "last_port", "lower than first_port"),
    (f"{RULE} --remote 10.0.0.1/8", "remote", "it is no IPv4 network such as 10.1.0.0/16"),
    ("image import x --url nonsense", "url", "it is no URL that begins with http:// or https://"),
    ("audit list --limit 0", "limit", "Input should be greater than or equal to 1"),
]


@pytest.mark.parametrize(("line", "field", "told"), WRONG)
def test_a_field(bmsctl: Keyboard, line: str, field: str, told: str) -> None:
    """It is called as it is, is named once, and what was typed is not repeated."""
    words = line.replace("create猫", "create 猫").replace("create\x1b", "create \x1b").split()
    if words[:3] == ["flavor", "create", "--cores"]:
        words.insert(2, "")
    typed = bmsctl(*words)

    assert typed.status == 2
    assert typed.error.startswith(f"INPUT.UNDECODABLE: reading the request: {field}: {told}"), typed.error
    assert typed.error.count(f"{field}: ") == 1 and not {"[", "^", "\x1b"} & set(typed.error), typed.error
    assert "Correct what is named" in typed.error


@pytest.mark.parametrize("line", ["node bmc N --address x --username u --password-file F", "node identity N smbios:x"])
def test_a_field_of_a_node(bmsctl: Keyboard, tmp_path: Path, line: str) -> None:
    """Whatever has a form of its own is described by it, not by a pattern."""
    secret = tmp_path / "secret"
    secret.write_text("s")
    typed = bmsctl(*line.replace("F", str(secret)).split())

    assert typed.status == 2 and "reading the request: " in typed.error
    assert "pattern" not in typed.error and "s\n" not in typed.error.splitlines()[0]


@pytest.mark.parametrize("key", ["", ".", ".."])
@pytest.mark.parametrize("line", ["vpc show", "approval approve", "server delete", "eip unbind", "server nic list"])
def test_the_name_of_nothing(bmsctl: Keyboard, line: str, key: str) -> None:
    """It is refused before anybody is asked: as a part of a path it leads to something else."""
    typed = bmsctl(*line.split(), key)

    assert typed.status == 2
    assert typed.error.startswith(f"INPUT.INVALID: reading the command line: {key!r} is the name of nothing")


FILES = ["keypair create k --public-key F", "image create i --file F", "image import i --file F",
         "image import i --url http://a.example/ --bearer-file F",
         "node bmc N --address x --username u --password-file F",
         "server create s --flavor f --image i --subnet n --key k --user-data F"]  # fmt: skip


@pytest.mark.parametrize("line", FILES)
def test_no_such_file(bmsctl: Keyboard, line: str, tmp_path: Path) -> None:
    """Which one, once, and what to do about it: nothing in the agent's settings."""
    gone, here = tmp_path / "gone", tmp_path / "directory"
    here.mkdir()
    for path, told in ((gone, "there is no such file"), (here, "Is a directory")):
        typed = bmsctl(*line.replace("F", str(path)).split())

        assert typed.status == 2 and typed.error.count(str(path)) == 1, typed.error
        assert typed.error.splitlines()[0].endswith(f"{path}: {told}")
        assert "Name a file" in typed.error and "agent.toml" not in typed.error and "Errno" not in typed.error


@pytest.mark.parametrize("line", [FILES[0], *FILES[3:]])
def test_a_file_without_end(bmsctl: Keyboard, line: str) -> None:
    """What should be a line or two is not read for ever."""
    typed = bmsctl(*line.replace("F", "/dev/zero").split())

    assert typed.status == 2 and "it is larger than 1048576 bytes" in typed.error


def test_a_subnet_is_to_change_and_nobody_says_how(bmsctl: Keyboard) -> None:
    """It is not answered as if it had."""
    typed = bmsctl("subnet", "set", "net")

    assert typed.status == 2 and "it is not said what shall be changed" in typed.error and "--no-dns" in typed.error


def test_two_servers_of_one_name(bmsctl: Keyboard, world: World) -> None:
    """Both ids are there, and that an id is what to give."""
    words = ("server", "create", "twin", "--flavor", "small", "--image", "debian", "--subnet", "net", "--key", "me")
    for number in (1, 2):
        Machine(world, number).power_on()
        assert bmsctl(*words).status == 0
    ids = [server["id"] for server in bmsctl("server", "list", "--json").json]
    typed = bmsctl("server", "delete", "twin")

    assert typed.status == 2 and len(ids) == 2 and all(one in typed.error for one in ids) and "by its id" in typed.error


def test_a_public_key_can_be_copied(bmsctl: Keyboard) -> None:
    """In a narrow terminal it is on several lines, all of it."""
    key = bmsctl("keypair", "show", "me", "--json").json["public_key"]
    typed = bmsctl("keypair", "show", "me", columns=60)

    assert "".join(key.split()) in "".join(typed.output.split()) and "…" not in typed.output
