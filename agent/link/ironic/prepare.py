# SPDX-License-Identifier: Apache-2.0
"""What is done with a machine before Ironic is called: all that it was told at boot is brought about, in this order.

    parameters ─► drivers' time ─► network ─► tagged links ─► Ironic's address ─► clock

A process that is started again within a boot does it all once more, where it changes nothing, but for the waits.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Event

from agent.errors import AgentError
from agent.host.doors import Host
from agent.inventory.disk import disks
from agent.link.ironic.boot import FILE, told
from agent.link.ironic.client import Ironic
from agent.link.ironic.clock import set_clock
from agent.link.ironic.discovery import discovered
from agent.link.relay import Beside
from agent.model.ironic.call import Manner
from agent.model.ironic.parameters import CA_FILE, Parameters
from agent.plan.disk import LEAST_BYTES
from agent.program.log import Logger

log = Logger("boot")


def prepared(host: Host, cmdline: str, directory: str, stop: Event, *, is_first: bool) -> tuple[Host, Parameters]:
    """The host, which trusts whom it shall trust, and what Ironic wants of it. `is_first`: Ironic does not know us yet
    in this boot. Raises `ConfigError`; `LinkError`, where trying again may help.
    """
    parameters, media = told(host, cmdline, directory, stop, is_first=is_first)
    if is_first and parameters.hardware_delay_s:
        log.info("the hardware is given time", seconds=parameters.hardware_delay_s)
        host.clock.wait(stop, parameters.hardware_delay_s)
    if media.network_data is not None or parameters.vlans:
        from agent.link.ironic.attach import add_vlans, attach  # lazy: few want it, and it brings all of `networking`
    if media.network_data is not None:
        attach(host, media.network_data, stop)
    if parameters.vlans:
        add_vlans(host, parameters.vlans, parameters.lldp_timeout_s)
    parameters = discovered(host, parameters, stop)
    if is_first:
        set_clock(host, parameters, stop)
    if parameters.insecure:
        log.warning("nobody's certificate is verified: ipa-insecure says so")
    if parameters.ca_pem or parameters.insecure:
        host = replace(host, fetch=host.fetch.trusting(parameters.ca_pem, insecure=parameters.insecure))
    return host, parameters


def client(
    host: Host, parameters: Parameters, directory: str, socket: str | None = None, beside: Beside | None = None
) -> Ironic:
    """A connection to Ironic's API, in the manner that was told; with a socket, by the process behind it. Whom it goes
    by, a file says to `diagnose`."""
    if parameters.ca_pem is not None:
        host.files.write(f"{directory}/{CA_FILE}", parameters.ca_pem.encode(), mode=0o600)
    manner = Manner(
        ca_pem=parameters.ca_pem,
        client_pem=parameters.client_pem,
        insecure=parameters.insecure,
        tls_min_version=parameters.tls_min_version,
        tls_ciphers=parameters.tls_ciphers,
        request_id=parameters.request_id,
        api_version=parameters.api_version,
        answer_timeout_s=parameters.answer_timeout_s,
    )
    return Ironic(parameters.api_urls, manner, parameters.callbacks, socket, beside)


def forget(host: Host, directory: str) -> None:
    """Nothing of what was told is left for whoever has the machine from now on."""
    for name in (FILE, CA_FILE):
        host.files.remove(f"{directory}/{name}")


def wait_for_disks(host: Host, parameters: Parameters, stop: Event) -> None:
    """Some drivers take their time: until there is a disk that may be a root disk, a few times. A machine without one
    is Ironic's to judge.
    """
    for attempt in range(parameters.disk_attempts):
        try:
            if any(disk.size_bytes >= LEAST_BYTES and not disk.is_remote for disk in disks(host)):
                return
        except AgentError as error:
            log.warning("the disks cannot be read yet", error=str(error))
        if attempt + 1 < parameters.disk_attempts and host.clock.wait(stop, parameters.disk_pause_s):
            return
    if parameters.disk_attempts:
        log.warning("no disk of 4 GiB or more has turned up", looked=parameters.disk_attempts)
