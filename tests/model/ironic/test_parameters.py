# SPDX-License-Identifier: Apache-2.0
"""Kernel command lines that Ironic's templates write."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.model.ironic.parameters import Parameters, parameters

DEPLOY = (
    "deploy_kernel selinux=0 troubleshoot=0 text nofb vga=normal ipa-debug=1 ipa-api-url=http://192.0.2.1:6385/ "
    "ipa-global-request-id=req-1 BOOTIF=AA:bb:cc:dd:ee:ff initrd=deploy_ramdisk"
)
INSPECT = (
    "ipa-inspection-callback-url=http://192.0.2.1:6385/v1/continue_inspection "
    "ipa-inspection-collectors=default,pci-devices,lldp BOOTIF=01-aa-bb-cc-dd-ee-ff"
)


def read(cmdline: str) -> Parameters:
    """Of a kernel that Ironic booted."""
    found = parameters(cmdline)
    assert found is not None
    return found


def test_a_deploy() -> None:
    """iPXE's template: one API, the NIC that booted, and no inspection."""
    found = read(DEPLOY)

    assert found.api_urls == ("http://192.0.2.1:6385",)
    assert (found.boot_interface, found.boot_mac) == ("AA:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff")
    assert (found.request_id, found.inspects, found.listen_port) == ("req-1", False, 9999)


def test_a_managed_inspection() -> None:
    """There is no API to look up at: the machine is inspected and no more (T21)."""
    found = read(INSPECT)

    assert (found.api_urls, found.inspects) == ((), True)
    assert found.callbacks == ("http://192.0.2.1:6385/v1/continue_inspection",)
    assert found.collected == ("default", "pci-devices", "lldp")
    assert found.boot_mac == "aa:bb:cc:dd:ee:ff"


def test_collectors_without_a_callback() -> None:
    """Then the API's own page takes the inspection."""
    found = read("ipa-api-url=http://a,http://b ipa-inspection-collectors=default ipa-collect-lldp=True")

    assert found.callbacks == ("http://a/v1/continue_inspection", "http://b/v1/continue_inspection")
    assert found.collected == ("default", "lldp")


def test_of_others() -> None:
    """A kernel that Ironic did not boot is not its business."""
    assert parameters("bms.controller=http://x bms.token=y BOOTIF=z ipa-debug=1 ipa-api-url") is None


def test_the_last_word_counts() -> None:
    """As in ironic-python-agent, which makes a dictionary of them."""
    assert read("ipa-api-url=http://a ipa-api-url=http://b=c").api_urls == ("http://b=c",)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("ipa-api-url=mdns", "multicast DNS is not supported"),
        ("ipa-listen-port=x", "listen_port"),
        ("ipa-advertise-port=70000", "advertise_port"),
        ("ipa-lookup-timeout=-1", "lookup_timeout_s"),
    ],
)
def test_what_is_wrong_is_named(word: str, told: str) -> None:
    """An error that says which word."""
    with pytest.raises(ConfigError, match=told):
        parameters(f"ipa-api-url=http://a {word}")


def test_the_token_is_a_secret() -> None:
    """It is in no text that is shown."""
    assert "s3cret" not in repr(read("ipa-api-url=http://a ipa-agent-token=s3cret"))


@given(st.text())
def test_any_command_line(text: str) -> None:
    """It is read, or refused, in our words."""
    with suppress(ConfigError):
        parameters(f"ipa-api-url=http://a {text}")
