# SPDX-License-Identifier: Apache-2.0
"""What the devices of a recorded machine answered, as a tree: bytes by question, in the same text as its files.

/efi/Boot0001                     a variable of the firmware's; /efi/ alone is a UEFI that has none
/bmc/0602                         the BMC, by the request: netfn, command, data
/tpm/80010000…                    the TPM, by the command
/drives/dev/nvme0n1/identify.1.0  a disk, by the question
/drivers/eth0/3                   a NIC's driver, by ethtool's number
/disks/dev/sda/0                  what a disk holds, by the byte from which on it was read
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import DecodeError
from agent.host.fake.tree import Entry, Tree, Unreadable

if TYPE_CHECKING:
    from agent.host.fake.machine import Machine

NOT_RECORDED = "not recorded"


def answers(machine: Machine) -> Tree:
    """All that the machine's devices have learnt."""
    tree = Tree()
    for name, found in (("efi", machine.variables), ("bmc", machine.bmc), ("tpm", machine.tpm)):
        if found is not None:
            tree.make_directory(f"/{name}")
        for question, answer in (found or {}).items():
            tree.put(f"/{name}/{question if isinstance(question, str) else question.hex()}", answer)
    for (node, asked), answer in machine.drives.items():
        tree.put(f"/drives{node}/{asked.replace(' ', '.')}", answer)
    for (link, command), answer in machine.drivers.items():
        tree.put(f"/drivers/{link}/{command}", answer)
    for node, pieces in machine.pieces.items():
        for offset, piece in pieces.items():
            tree.put(f"/disks{node}/{offset}", piece)
    return tree


def learn(machine: Machine, tree: Tree) -> None:
    """Teach a machine all that is in such a tree. Raises `DecodeError`."""
    top = tree.directories["/"]
    machine.variables = {} if "efi" in top else None
    machine.bmc = {} if "bmc" in top else None
    machine.tpm = {} if "tpm" in top else None
    for path, entry in tree.entries.items():
        try:
            learn_one(machine, path.split("/")[1:], entry)
        except ValueError as error:
            raise DecodeError("reading recorded answers", f"{path} is no question that is known") from error


def learn_one(machine: Machine, path: list[str], entry: Entry) -> None:
    """One answer. Raises `ValueError`."""
    if isinstance(entry, Unreadable) and path[0] == "disks":
        keep(machine, path, entry)
        return
    if not isinstance(entry, bytes):
        raise ValueError("an answer is bytes")
    match path:
        case ["efi", name] if machine.variables is not None:
            machine.variables[name] = entry
        case ["bmc", question] if machine.bmc is not None:
            machine.bmc[bytes.fromhex(question)] = entry
        case ["tpm", question] if machine.tpm is not None:
            machine.tpm[bytes.fromhex(question)] = entry
        case ["drives", *node, question] if node:
            machine.drives["/" + "/".join(node), question.replace(".", " ")] = entry
        case ["drivers", link, command]:
            machine.drivers[link, int(command)] = entry
        case _:
            keep(machine, path, entry)


def keep(machine: Machine, path: list[str], piece: bytes | Unreadable) -> None:
    """A piece of a disk. Raises `ValueError`."""
    match path:
        case ["disks", *node, offset] if node and int(offset) >= 0:
            machine.pieces.setdefault("/" + "/".join(node), {})[int(offset)] = piece
        case _:
            raise ValueError("no such device")
