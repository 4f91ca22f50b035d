# SPDX-License-Identifier: Apache-2.0
"""The clock, set once from a time server before anything is said over TLS: certificates have a beginning and an end."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from threading import Event

from agent.errors import AgentError, DecodeError, LinkError
from agent.host.doors import Host
from agent.model.ironic.parameters import Parameters
from agent.model.sntp import PORT, answered, question
from agent.program.log import Logger

ATTEMPTS = 4
ANSWER_S = 3.0
PAUSE_S = 2.0
"""An address may take a moment yet (DHCP)."""

log = Logger("clock")


def set_clock(host: Host, parameters: Parameters, stop: Event) -> None:
    """By `ipa-ntp-server`. Raises `LinkError` or `HostError` where the clock must be set and cannot be."""
    server = parameters.ntp_server
    if server is None:
        return
    try:
        now = asked(host, server, stop)
        was = host.clock.now()
        host.clock.set(now)
    except AgentError as error:
        if parameters.needs_clock:
            raise
        log.warning("clock not set", server=server, error=str(error))
        return
    log.info("clock set", server=server, by_s=round((now - was).total_seconds(), 3))


def asked(host: Host, server: str, stop: Event) -> datetime:
    """The time there now: its answer was under way for half of the time that it took. Raises `LinkError`."""
    evidence = "it does not answer"
    for attempt in range(ATTEMPTS):
        if attempt and host.clock.wait(stop, PAUSE_S):
            break
        cookie = secrets.token_bytes(8)
        began_s = host.clock.monotonic_s()
        packet = host.datagrams.ask(server, PORT, question(cookie), ANSWER_S)
        took_s = host.clock.monotonic_s() - began_s
        if packet is not None:
            try:
                return answered(packet, cookie) + timedelta(seconds=took_s / 2)
            except DecodeError as error:
                evidence = error.evidence
    raise LinkError(f"asking {server} for the time", evidence)
