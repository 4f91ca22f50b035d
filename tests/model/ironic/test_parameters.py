# SPDX-License-Identifier: Apache-2.0
"""Kernel command lines that Ironic's templates write."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.model.ironic.options import words_of_options
from agent.model.ironic.parameters import (
    FIELDS,
    OTHERS,
    OVERRIDES,
    Parameters,
    ciphers_of_1_2,
    not_followed,
    parameters,
    words_of,
)

DEPLOY = (
    "deploy_kernel selinux=0 troubleshoot=0 text nofb vga=normal ipa-debug=1 ipa-api-url=http://192.0.2.1:6385/ "
    "ipa-global-request-id=req-1 BOOTIF=AA:bb:cc:dd:ee:ff initrd=deploy_ramdisk"
)
INSPECT = (
    "ipa-inspection-callback-url=http://192.0.2.1:6385/v1/continue_inspection "
    "ipa-inspection-collectors=default,pci-devices,lldp BOOTIF=01-aa-bb-cc-dd-ee-ff"
)

# ironic_python_agent/config.py, utils.py: every name that it reads from the kernel command line, and one value each
IPA = {
    "ipa-api-url": "http://other:6385",
    "ipa-use-mdns": "True",
    "ipa-global-request-id": "req-1",
    "ipa-agent-token": "t" * 43,
    "ipa-listen-host": "192.0.2.9",
    "ipa-listen-port": "9998",
    "ipa-advertise-host": "192.0.2.9",
    "ipa-advertise-port": "9998",
    "ipa-advertise-protocol": "https",
    "ipa-network-interface": "eno1",
    "ipa-ip-lookup-attempts": "9",
    "ipa-ip-lookup-timeout": "3",
    "ipa-lookup-timeout": "60",
    "ipa-lookup-interval": "2",
    "ipa-http-request-timeout": "5",
    "ipa-ironic-api-version": "1.68",
    "ipa-insecure": "1",
    "ipa-tls-min-version": "1.3",
    "ipa-tls-cipher-suites": "ECDHE-RSA-AES256-GCM-SHA384,ECDHE-ECDSA-AES256-GCM-SHA384",
    "ipa-tls-certificate-curve": "p521",
    "ipa-debug": "1",
    "ipa-inspection-callback-url": "http://other/v1/continue_inspection",
    "ipa-inspection-collectors": "default",
    "ipa-inspection-dhcp-wait-timeout": "5",
    "ipa-inspection-dhcp-all-interfaces": "yes",
    "ipa-inspection-benchmarks": "cpu,disk,mem",
    "ipa-collect-lldp": "1",
    "ipa-lldp-timeout": "5",
    "ipa-enable-vlan-interfaces": "eth0.100,all",
    "ipa-hardware-initialization-delay": "5",
    "ipa-disk-wait-attempts": "3",
    "ipa-disk-wait-delay": "1",
    "ipa-image-download-connection-timeout": "5",
    "ipa-image-download-connection-retries": "1",
    "ipa-image-download-connection-retry-interval": "1",
    "ipa-image-download-max-duration": "60",
    "ipa-ignore-bootloader-failure": "1",
    "ipa-inject-files-priority": "50",
    "ipa-guard-special-filesystems": "False",
    "ipa-enable-discard-erase": "1",
    "ipa-ntp-server": "pool.ntp.example",
    "BOOTIF": "01-aa-bb-cc-dd-ee-ff",
    "boot_method": "vmedia",
    "boot_server": "192.0.2.1",
    "ir_pub_id": "3f9a7c0e-0000-4000-8000-000000000001",
}


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
        ("ipa-api-url=ftp://x", "no http:// or https:// URL, nor mdns"),
        ("ipa-api-url=mdns,http://x", "mdns is no http"),
        ("ipa-insecure=perhaps", "insecure"),
        ("ipa-tls-min-version=1.1", "tls_min_version"),
        ("ipa-tls-certificate-curve=p224", "tls_curve"),
        ("ipa-ironic-api-version=latest", "api_version"),
        ("ipa-ntp-server=-x", "ntp_server"),
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


@pytest.mark.parametrize("name", IPA)
def test_every_parameter_of_ipas(name: str) -> None:
    """It is done, and then something here is another; or it is known, and said with what is done instead."""
    words = {"ipa-api-url": "http://a", name: IPA[name]}
    found = read(" ".join(f"{word}={value}" for word, value in words.items()))

    if name in FIELDS:
        assert getattr(found, FIELDS[name]) != getattr(read("ipa-api-url=http://a"), FIELDS[name])
        assert name not in not_followed(words)
    else:
        assert not_followed(words)[name] == OTHERS[name]


def test_the_tables_are_of_one_piece() -> None:
    """Each name is in one of them, and each field is filled by one name; what multicast DNS may say is known."""
    assert not set(FIELDS) & set(OTHERS)
    assert len(set(FIELDS.values())) == len(FIELDS)
    assert set(FIELDS.values()) | {"ca_pem", "client_pem"} == set(Parameters.model_fields)
    assert set(OVERRIDES) < set(FIELDS)


def test_what_nobody_knows_is_told_and_does_no_harm() -> None:
    """A parameter of a later Ironic; a word that is not Ironic's is not spoken of."""
    words = words_of("ipa-api-url=http://a ipa-from-the-future=1 quiet=1")

    assert not_followed(words) == {"ipa-from-the-future": "it is not known here"}
    assert read("ipa-api-url=http://a ipa-from-the-future=1 quiet=1").api_urls == ("http://a",)


def test_nothing_is_quoted() -> None:
    """A quotation mark is a character as others are, and white space ends a word."""
    assert words_of('a="b c" a=d=e  f= g') == {"a": "d=e", "f": ""}


@pytest.mark.parametrize(
    ("word", "mac"),
    [
        ("aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff"),
        ("01-AA-BB-CC-DD-EE-FF", "aa:bb:cc:dd:ee:ff"),
        ("aa-bb-cc-dd-ee-ff", "aa:bb:cc:dd:ee:ff"),
        ("eth0", None),
        ("20-aa-bb-cc-dd-ee-ff", None),
    ],
)
def test_forms_of_bootif(word: str, mac: str | None) -> None:
    """iPXE's, pxelinux's; what is none names no NIC."""
    assert read(f"ipa-api-url=http://a BOOTIF={word}").boot_mac == mac


@pytest.mark.parametrize(
    "cmdline",
    ["ipa-api-url=mdns", "ipa-inspection-callback-url=mdns", "ipa-use-mdns=true", "boot_method=vmedia ir_pub_id=x"],
)
def test_ironics_boots(cmdline: str) -> None:
    """Each of these words says that Ironic booted the kernel; others may follow by other ways."""
    assert read(cmdline) is not None


def test_ciphers() -> None:
    """OpenSSL's list for TLS 1.2; the suites of 1.3 have names of their own, and are not chosen."""
    assert ciphers_of_1_2("ECDHE-A,TLS_AES_256_GCM_SHA384:ECDHE-B") == "ECDHE-A:ECDHE-B"
    assert [ciphers_of_1_2(one) for one in (None, "", "TLS_AES_256_GCM_SHA384")] == [None] * 3


def test_a_configuration_file() -> None:
    """oslo.config's: options of two sections are words; of those that are said twice the last counts."""
    said = "# said by Ironic\n[DEFAULT]\ncafile = /etc/a b.crt\ncafile = /x\nip_lookup_sleep=3\n"
    text = f"{said}[mdns]\nuse_mdns=1\n[disk_utils]\nz=1"

    assert words_of_options(text, "x.conf") == {
        "ipa-cafile": "/x",
        "ipa-ip-lookup-timeout": "3",
        "ipa-use-mdns": "1",
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [("image_server_password = hunter2\n", "line 1 stands in"), ("[DEFAULT]\npassword hunter2\n", "line 2 is no")],
)
def test_a_broken_configuration_file(text: str, told: str) -> None:
    """It is said where; what stands there may be a secret, and the message goes to the console."""
    with pytest.raises(ConfigError, match=told) as caught:
        words_of_options(text, "x.conf")
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_configuration_file(text: str) -> None:
    """It is read, or refused, in our words."""
    with suppress(ConfigError):
        words_of_options(text, "x.conf")
