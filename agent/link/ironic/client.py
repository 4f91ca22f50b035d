# SPDX-License-Identifier: Apache-2.0
"""Calls to Ironic's API: inspection, lookup, heartbeat. One client belongs to one thread.

Several URLs are tried in their order, each time. The token stands in bodies only, and in no log line. Every call has an
end, whatever the other side does.
"""

from __future__ import annotations

import json
import ssl
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from agent.errors import ConfigError, ControllerRefused, DecodeError, LinkError
from agent.link.leash import Leash, Leashed
from agent.model.frozen import decode
from agent.model.ironic.parameters import ciphers_of_1_2
from agent.model.ironic.wire import Beat, Lookup
from agent.model.url import named

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
INSPECTION_TIMEOUT_S = 120.0
NEWEST = (1, 72)
CERTIFICATES, MESSAGES = (1, 68), (1, 72)
"""1.62 brought tokens, 1.68 the agent's certificate, 1.72 its message (ironic/api/controllers/v1/versions.py)."""
MEDIA_TYPE = {"Accept": "application/json", "Content-Type": "application/json"}
EVIDENCE_CHARS = 500
CUT = "its answer has no end"


@dataclass(frozen=True)
class Manner:
    """How Ironic is called.

    ca_path       a file, or a folder, with the only authorities that are trusted
    client_path   a file with the certificate, and its key, by which we are known
    request_id    marks all calls in its logs
    """

    ca_path: str | None = None
    client_path: str | None = None
    insecure: bool = False
    tls_min_version: str | None = None
    tls_ciphers: str | None = None
    request_id: str | None = None
    api_version: str | None = None
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    answer_timeout_s: float = ANSWER_TIMEOUT_S


PLAIN = Manner()


class Ironic:
    """Ironic, at one of these URLs. Raises `ConfigError` where its manner is none."""

    def __init__(self, urls: Sequence[str], manner: Manner = PLAIN) -> None:
        self._urls = tuple(urls)
        self._connect_s, self._timeout_s = manner.connect_timeout_s, manner.answer_timeout_s
        self._version = min(NEWEST, version_of(manner.api_version)) if manner.api_version else NEWEST
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = False if manner.insecure else manner.ca_path or system_authorities() or True
        self._session.cert = manner.client_path
        self._session.headers["Connection"] = "close"
        self._leash = Leash()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, Leashed(self._leash, context(manner)))
        if manner.insecure:
            warnings.filterwarnings("ignore", "Unverified HTTPS request")  # who chose it was told once
        if manner.request_id:
            self._session.headers["X-OpenStack-Request-ID"] = manner.request_id

    def lookup(self, macs: Sequence[str], node_uuid: str | None) -> Lookup:
        """Who we are to Ironic. Raises `LinkError`; `ControllerRefused` where it does not wait for such a machine."""
        query = {"addresses": ",".join(macs), **({"node_uuid": node_uuid} if node_uuid else {})}
        response = self._asked("GET", "/v1/lookup", query=query)
        return decode(Lookup, response.content, "reading the answer of Ironic's lookup")

    def heartbeat(self, node_uuid: str, beat: Beat) -> None:
        """Alive, and here, with as much of it as this version knows. Raises as above."""
        unknown = {"agent_verify_ca"} if self._version < CERTIFICATES else set()
        unknown |= {"agent_status_message"} if self._version < MESSAGES else set()
        body = beat.model_dump_json(exclude_none=True, exclude=unknown)
        self._asked("POST", f"/v1/heartbeat/{node_uuid}", body=body)

    def inspected(self, callbacks: Sequence[str], document: bytes) -> str:
        """Post an inspection, as JSON; the node's UUID. It goes without a version, as IPA's does: older hooks look for
        that. Raises as above.
        """
        response = self._first(
            "posting the inspection", "POST", callbacks, body=document, timeout_s=INSPECTION_TIMEOUT_S
        )
        try:
            return str(response.json()["uuid"])
        except (ValueError, KeyError, TypeError):
            raise DecodeError("reading the answer to the inspection", "there is no uuid in it") from None

    def _asked(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: str | None = None
    ) -> requests.Response:
        headers = {"X-OpenStack-Ironic-API-Version": ".".join(map(str, self._version))}
        return self._first(
            f"calling {method} {path}", method, [url + path for url in self._urls], query=query, body=body, more=headers
        )

    def _first(
        self,
        doing: str,
        method: str,
        urls: Sequence[str],
        *,
        query: Mapping[str, str] | None = None,
        body: str | bytes | None = None,
        more: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> requests.Response:
        """The answer of the first URL that answers at all."""
        silent: LinkError | None = None
        for url in urls:
            limit_s = timeout_s or self._timeout_s
            try:
                with self._leash.within(self._connect_s + limit_s):
                    response = self._session.request(
                        method,
                        url,
                        params=query,
                        data=body,
                        headers={**MEDIA_TYPE, **(more or {})},
                        allow_redirects=False,
                        timeout=(self._connect_s, limit_s),
                    )
            except OSError as error:  # all of requests' are
                silent = LinkError(f"{doing} at {named(url)}", self._why(error))
                silent.__cause__ = error
                continue
            if self._leash.is_cut:  # an answer without a length looks whole wherever it ends
                silent = LinkError(f"{doing} at {named(url)}", CUT)
                continue
            must_be_good(f"{doing} at {named(url)}", response)
            return response
        raise silent or LinkError(doing, "no URL of Ironic's is known")

    def _why(self, error: OSError) -> str:
        return CUT if self._leash.is_cut else type(error).__name__


def context(manner: Manner) -> ssl.SSLContext:
    """Of TLS, as Ironic's operator wants it. Raises `ConfigError`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = not manner.insecure
    try:
        if manner.tls_min_version == "1.3":
            made.minimum_version = ssl.TLSVersion.TLSv1_3
        if ciphers := ciphers_of_1_2(manner.tls_ciphers):
            made.set_ciphers(ciphers)
    except ssl.SSLError as error:
        raise ConfigError("reading ipa-tls-cipher-suites", str(error)) from error
    return made


def system_authorities() -> str | None:
    """Those that the ramdisk was given beside the libraries' own; None where there are none."""
    places = ssl.get_default_verify_paths()
    return places.cafile or (places.capath if places.capath and any(Path(places.capath).iterdir()) else None)


def version_of(text: str) -> tuple[int, int]:
    """`1.62` in numbers."""
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def must_be_good(doing: str, response: requests.Response) -> None:
    """Raises `LinkError` where another try may help, `ControllerRefused` where Ironic says no."""
    if response.ok and not response.is_redirect:
        return
    told = f"{response.status_code}: {reason(response)}"
    if response.status_code >= 500 or response.status_code == requests.codes.conflict:
        raise LinkError(doing, told)
    raise ControllerRefused(doing, told, refusal=f"HTTP.{response.status_code}")


def reason(response: requests.Response) -> str:
    """Ironic's own words: they stand in JSON in JSON (ironic/api/middleware/parsable_error.py)."""
    try:
        told: Any = response.json().get("error_message", response.text)
        inner = told if isinstance(told, dict) else json.loads(told)
        return str(inner.get("faultstring", told))[:EVIDENCE_CHARS]
    except (ValueError, AttributeError, TypeError):
        return (response.text or "no reason given")[:EVIDENCE_CHARS]
