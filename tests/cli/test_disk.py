# SPDX-License-Identifier: Apache-2.0
"""`bms-agent disk erase`: what an operator is told of each disk, and what can be kept of it."""

from __future__ import annotations

import json
from typing import get_args

from agent.cli.disk import Method, said
from agent.host.fake import FakeHost
from agent.host.fake.erasing import NvmeMind
from agent.model.erasing.certificate import SignedCertificate
from agent.model.request import EraseMethod
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


def test_methods_of_the_command_are_those_of_the_request() -> None:
    """But for Ironic's express, which makes sense for all disks of a machine only."""
    assert {method.value for method in Method} == {*get_args(EraseMethod)} - {"express"}
