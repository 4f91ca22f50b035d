# SPDX-License-Identifier: Apache-2.0
"""A call to Ironic as HTTP, over TLS where its URL says so: the only module that reads what Ironic answers before it
was judged. What it read is bytes; whoever asked makes a model of them, or not.

Every call has an end, whatever the other side does. No redirect is followed: it could lead the token anywhere.
"""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import Any

import requests

from agent.errors import ConfigError, LinkError
from agent.link.body import PLAIN, taken
from agent.link.leash import CUT, Leash, Leashed
from agent.link.trust import show
from agent.model.call import Answer
from agent.model.ironic.call import CALLS, LARGEST_ANSWER_BYTES, Call, Manner, Opening, Page
from agent.model.ironic.parameters import ciphers_of_1_2
from agent.model.url import named

MEDIA_TYPE = {"Accept": "application/json", "Content-Type": "application/json"}
VERSION = "X-OpenStack-Ironic-API-Version"


class Direct:
    """`relay.Wire` from this very process."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._leash = Leash()
        self._made: requests.Session | None = None

    def exchange(self, call: Call, body: bytes) -> tuple[Answer, bytes]:
        """Of the first URL that answers at all. Raises `LinkError`; `ConfigError` where its manner is none."""
        self._made = self._made or session(self._opening.manner, self._leash)
        silent = LinkError(call.doing, "no URL of Ironic's is known")
        for number, url in enumerate(self._opening.places(call)):
            try:
                return self._asked(self._made, call, url, body, number)
            except LinkError as error:
                silent = error
        raise silent

    def _asked(self, made: requests.Session, call: Call, url: str, body: bytes, number: int) -> tuple[Answer, bytes]:
        doing, answer_s = f"{call.doing} at {named(url)}", self._opening.answer_s(call)
        connect_s = self._opening.manner.connect_timeout_s
        try:
            with self._leash.within(connect_s + answer_s):
                response = made.request(
                    CALLS[call.page].method,
                    url,
                    params=call.query,
                    data=body or None,
                    headers={} if call.page is Page.INSPECTION else {VERSION: self._opening.version},
                    allow_redirects=False,
                    timeout=(connect_s, answer_s),
                    stream=True,
                )
                content = taken(response, doing, connect_s + answer_s, LARGEST_ANSWER_BYTES)
        except (OSError, LinkError) as error:  # all of requests' are OSError
            if isinstance(error, LinkError) and not self._leash.is_cut:
                raise
            raise LinkError(doing, CUT if self._leash.is_cut else type(error).__name__) from error
        if self._leash.is_cut:  # an answer without a length looks whole wherever it ends
            raise LinkError(doing, CUT)
        return Answer(status=response.status_code, by=number), content


class Trusting(Leashed):
    """TLS with servers that the context trusts, and with nobody else: requests would add the libraries' authorities."""

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """As it is."""


def session(manner: Manner, leash: Leash) -> requests.Session:
    """In that manner. Raises `ConfigError`, `LinkError`."""
    made, is_named = requests.Session(), manner.ca_pem is not None and not manner.insecure
    made.trust_env = False
    made.verify = False if manner.insecure else is_named or system_authorities() or True
    made.headers.update({**MEDIA_TYPE, **PLAIN, "Connection": "close"})
    for scheme in ("http://", "https://"):
        made.mount(scheme, (Trusting if is_named else Leashed)(leash, context(manner)))
    if manner.insecure:
        warnings.filterwarnings("ignore", "Unverified HTTPS request")  # who chose it was told once
    if manner.request_id:
        made.headers["X-OpenStack-Request-ID"] = manner.request_id
    return made


def context(manner: Manner) -> ssl.SSLContext:
    """Of TLS, as Ironic's operator wants it. Raises `ConfigError`; `LinkError` for certificates that are none."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = not manner.insecure
    try:
        if manner.tls_min_version == "1.3":
            made.minimum_version = ssl.TLSVersion.TLSv1_3
        if ciphers := ciphers_of_1_2(manner.tls_ciphers):
            made.set_ciphers(ciphers)
    except ssl.SSLError as error:
        raise ConfigError("reading ipa-tls-cipher-suites", str(error)) from error
    try:
        if manner.ca_pem is not None and not manner.insecure:
            made.load_verify_locations(cadata=manner.ca_pem.encode("ascii", "ignore").decode())  # comments have names
        if manner.client_pem is not None:
            show(made, manner.client_pem.get_secret_value())
    except (OSError, ValueError) as error:
        raise LinkError("reading the certificates that ipa-cafile or ipa-certfile names", str(error)) from error
    return made


def system_authorities() -> str | None:
    """Those that the ramdisk was given beside the libraries' own; None where there are none."""
    places = ssl.get_default_verify_paths()
    return places.cafile or (places.capath if places.capath and any(Path(places.capath).iterdir()) else None)
