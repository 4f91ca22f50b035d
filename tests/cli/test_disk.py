# SPDX-License-Identifier: Apache-2.0
"""`bms-agent disk erase`: what an operator is told of each disk, and what can be kept of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import pytest

from agent.cli.disk import Method, said
from agent.errors import AgentError, NoDiskMatches, ToolMissing
from agent.host.fake import FakeHost
from agent.host.fake.erasing import NvmeMind
from agent.inventory.once import UdevOnce
from agent.model.erasing.certificate import SignedCertificate
from agent.model.request import EraseMethod, EraseRequest
from agent.operations import Operations
from tests.apply.erasable import drive, machine, served


def test_each_disk_in_a_line() -> None:
    """Also of the disks beside one that failed."""
    made = machine()
    drive(made, NvmeMind)
    drive(made, NvmeMind, keeps=True)
    lines = said(served(FakeHost.of(made)), as_json=False).splitlines()

    assert lines[0].startswith("D0: erased by nvme_sanitize_crypto: 3 samples, all zero")
    assert lines[0].endswith("(NIST SP 800-88: purge)")
    assert lines[1].startswith("D1: failed by nvme_sanitize_crypto: 3 of 3 canaries are still there")


def test_the_certificate_is_in_the_json() -> None:
    """As it was signed, and in words that a program reads."""
    made = machine()
    drive(made, NvmeMind)
    told = json.loads(said(served(FakeHost.of(made)), as_json=True))

    assert told["says"]["disks"][0]["outcome"] == "erased"
    assert SignedCertificate.model_validate(told["signed"]).opened().disks[0].serial == "D0"


class WithoutUdevadm(UdevOnce):
    """A system that nobody has installed it on."""

    def settle(self, timeout_s: float = 30.0) -> None:
        """As the door says it."""
        raise ToolMissing("running udevadm settle", "udevadm is not installed")


@pytest.mark.parametrize(("serial", "error"), [("NOPE", NoDiskMatches), ("D0", ToolMissing)])
def test_who_mistypes_is_told_so(serial: str, error: type[AgentError]) -> None:
    """Even where udev cannot be waited for, without which nothing is planned: that would not help."""
    made = machine()
    drive(made, NvmeMind)
    host = FakeHost.of(made)
    host = replace(host, udev=WithoutUdevadm(host.udev))
    request = EraseRequest(request_id="r", node_id="n", serials=(serial,))

    with pytest.raises(error):
        Operations(host, None, "/run/spool").plan(request)


def test_methods_of_the_command_are_those_of_the_request() -> None:
    """But for Ironic's express, which makes sense for all disks of a machine only."""
    assert {method.value for method in Method} == {*get_args(EraseMethod)} - {"express"}
