# SPDX-License-Identifier: Apache-2.0
"""What a machine was told at boot: by whom, which of them counts, how long it is waited for, and how long it holds."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from structlog.testing import capture_logs

from agent.errors import ConfigError
from agent.host.fake import FakeHost
from agent.link.ironic.boot import told
from agent.link.ironic.prepare import client, forget, prepared, wait_for_disks
from agent.model.ironic.parameters import Parameters, not_followed, words_of
from tests.apply.disks import machine as with_disks
from tests.media import CD, PUBLISHER, USB, disc, floppy, machine, with_disc

pytestmark = pytest.mark.commands

FOLDER = "/run/bms-agent/ironic"
VMEDIA = f"boot_method=vmedia ir_pub_id={PUBLISHER} ipa-api-url=https://a ipa-agent-token={'t' * 43}"
TLS = {
    "etc/ironic-python-agent/ironic.crt": "PEM",
    "etc/ironic-python-agent.d/ironic-tls.conf": "[DEFAULT]\ncafile = /etc/ironic-python-agent/ironic.crt\n",
}


def test_the_authority_comes_on_a_disc(tmp_path: Path) -> None:
    """As Ironic sends it with [agent]api_ca_file; the token is on the command line."""
    found, media = told(with_disc(disc(tmp_path, TLS)), VMEDIA, FOLDER, Event())

    assert (found.ca_pem, found.api_urls, media.network_data) == ("PEM", ("https://a",), None)
    assert found.agent_token is not None
    assert found.agent_token.get_secret_value() == "t" * 43


def test_what_counts(tmp_path: Path) -> None:
    """A floppy before the command line, a configuration file before both, that of a disc before the ramdisk's own."""
    own = {"/etc/ironic-python-agent.d/a.conf": "[DEFAULT]\nlisten_port=3\nlookup_timeout=33\n"}
    made = {
        "sr0": (CD, "ata1", disc(tmp_path, {"etc/ironic-python-agent.d/a.conf": "[DEFAULT]\nlisten_port=4\n"})),
        "sda": (USB, "usb1/1-1", floppy(tmp_path, "ipa-listen-port=2 ipa-lookup-timeout=22 ipa-lldp-timeout=2")),
    }
    words = f"{VMEDIA} ipa-listen-port=1 ipa-lookup-timeout=11 ipa-lldp-timeout=1 ipa-http-request-timeout=1"
    found, _ = told(FakeHost.of(machine(made, own)), words, FOLDER, Event())

    # of two files of one name the disc's is there, as where IPA copies it over the other
    assert (found.listen_port, found.lookup_timeout_s, found.lldp_timeout_s) == (4, 22, 2)
    assert found.answer_timeout_s == 1


def test_what_is_not_followed_is_in_the_log() -> None:
    """Each parameter by its name, with what is done instead; those that are followed are not."""
    words = "ipa-api-url=http://a ipa-advertise-protocol=http ipa-from-the-future=1 ipa-listen-port=1 quiet"
    with capture_logs() as lines:
        told(FakeHost.with_files({}), words, FOLDER, Event())

    said = {line["parameter"]: line["instead"] for line in lines if line["event"] == "not followed"}
    assert said == {name: not_followed(words_of(words))[name] for name in said} and all(said.values())
    assert set(said) == {"ipa-advertise-protocol", "ipa-from-the-future"}


def test_a_floppy_alone(tmp_path: Path) -> None:
    """It may say where the API is, and then it is waited for."""
    made = {"sda": (USB, "usb1/1-1", floppy(tmp_path, "ipa-api-url=http://floppy"))}
    found, _ = told(FakeHost.of(machine(made)), "boot_method=vmedia BOOTIF=aa:bb:cc:dd:ee:ff", FOLDER, Event())

    assert found.api_urls == ("http://floppy",)


def test_media_are_not_looked_at_unasked(tmp_path: Path) -> None:
    """A machine that booted from the network has whatever disc in its drive."""
    host = with_disc(disc(tmp_path, TLS))
    found, _ = told(host, VMEDIA.replace("vmedia", "pxe"), FOLDER, Event())

    assert found.ca_pem is None
    assert not [call for call in host.faults.calls if call.startswith("block")]


@pytest.mark.parametrize(
    ("words", "waited_s"),
    [(VMEDIA, 30), (f"{VMEDIA} BOOTIF=x", 30), ("boot_method=vmedia ipa-api-url=http://a BOOTIF=x", 0)],
)
def test_how_long_a_disc_is_waited_for(words: str, waited_s: float) -> None:
    """Half a minute if there must be one; not at all if the boot loader names a NIC and nobody a publisher."""
    host = FakeHost.of(machine({}))
    before = host.machine.uptime_s
    told(host, words, FOLDER, Event())

    assert host.machine.uptime_s - before == pytest.approx(waited_s, abs=1.5)


def test_it_is_known_after_the_disc_was_taken_out(tmp_path: Path) -> None:
    """A process that is started again in the same boot knows it still; in another boot, or once the machine has gone
    to its owner, nothing of it is left.
    """
    host = with_disc(disc(tmp_path, TLS))
    told(host, VMEDIA, FOLDER, Event())
    host.machine.tree.drop("/sys/block/sr0")
    again, _ = told(host.restarted(), VMEDIA, FOLDER, Event())
    host.machine.tree.put("/proc/sys/kernel/random/boot_id", b"boot-2\n")
    in_another, _ = told(host.restarted(), VMEDIA, FOLDER, Event())
    forget(host, FOLDER)

    assert (again.ca_pem, in_another.ca_pem) == ("PEM", None)
    assert host.files.names(FOLDER) == ()


def test_a_drive_that_turns_up_after_the_wait(tmp_path: Path) -> None:
    """The next process of this boot finds it, or a slow BMC would have to be powered off; but not once Ironic knows us,
    as such media was taken out then.
    """
    late = with_disc(disc(tmp_path, TLS))
    floppyless = FakeHost.of(machine({}))
    with pytest.raises(ConfigError):
        told(floppyless, "boot_method=vmedia BOOTIF=x", FOLDER, Event())
    late.files.write(f"{FOLDER}/media.json", floppyless.files.read_bytes(f"{FOLDER}/media.json"))
    known, _ = told(late, VMEDIA, FOLDER, Event(), is_first=False)
    found, _ = told(late, VMEDIA, FOLDER, Event())

    assert (known.ca_pem, found.ca_pem) == (None, "PEM")


def test_nobody_says_where_ironic_is() -> None:
    """Then it cannot go on, and says so."""
    with pytest.raises(ConfigError, match="nothing says where Ironic's API is"):
        told(FakeHost.of(machine({})), "boot_method=vmedia BOOTIF=x", FOLDER, Event())


def test_a_file_that_is_not_there() -> None:
    """An authority that is named and missing is not one to do without."""
    with pytest.raises(ConfigError, match=r"/etc/none\.crt"):
        told(FakeHost.of(machine({})), "ipa-api-url=https://a ipa-cafile=/etc/none.crt", FOLDER, Event())


def test_who_is_trusted() -> None:
    """The authority, or everybody, holds for images as it does for the API; without either nothing changes."""
    files = {"/etc/ca.pem": "PEM"}
    found = []
    for words in ("ipa-cafile=/etc/ca.pem", "ipa-insecure=true", ""):
        host = FakeHost.of(machine({}, files))
        prepared(host, f"ipa-api-url=https://a {words}", FOLDER, Event(), is_first=True)
        found.append(host.machine.trusted)

    assert found == [("PEM", False), (None, True), None]


def test_time_for_drivers() -> None:
    """Waited for once in a boot, before anything else."""
    waits = []
    for is_first in (True, False):
        host = FakeHost.of(machine({}))
        before = host.machine.uptime_s
        words = "ipa-api-url=http://a ipa-hardware-initialization-delay=25"
        prepared(host, words, FOLDER, Event(), is_first=is_first)
        waits.append(host.machine.uptime_s - before)

    assert waits == [25, 0]


def test_a_disk_that_turns_up_late() -> None:
    """It is looked for as often as Ironic wants; where there is one, not again."""
    waits = []
    for made in (FakeHost.of(machine({})), FakeHost.of(with_disks(5 << 30))):
        before = made.machine.uptime_s
        wait_for_disks(made, Parameters(api_urls=("http://a",), disk_attempts=4, disk_pause_s=5), Event())
        waits.append(made.machine.uptime_s - before)

    assert waits == [15, 0]


def test_files_of_the_client() -> None:
    """Whom it trusts `diagnose` may read; its key is on no disk, nor in any word."""
    host = FakeHost.of(machine({}, {"/a": "CA", "/c": "CERT", "/k": "KEY"}))
    words = "ipa-api-url=https://a ipa-cafile=/a ipa-certfile=/c ipa-keyfile=/k"
    found, _ = told(host, words, FOLDER, Event())
    client(host, found, FOLDER)

    assert host.files.names(FOLDER) == ("ca.pem",) and host.files.read_text(f"{FOLDER}/ca.pem") == "CA"
    assert found.client_pem is not None and found.client_pem.get_secret_value() == "CERT\nKEY"
    assert "KEY" not in repr(found)
