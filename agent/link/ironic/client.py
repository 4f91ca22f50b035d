# SPDX-License-Identifier: Apache-2.0
"""Calls to Ironic's API: inspection, lookup, heartbeat. One client belongs to one thread.

Several URLs are tried in their order, each time. The token stands in bodies only, and in no log line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import requests
from requests.exceptions import RequestException

from agent.errors import ControllerRefused, DecodeError, LinkError
from agent.model.frozen import decode
from agent.model.ironic.wire import Beat, Lookup

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
INSPECTION_TIMEOUT_S = 120.0
API_VERSION = "1.72"
"""1.62 brought tokens, 1.68 the agent's certificate, 1.72 its message (ironic/api/controllers/v1/versions.py)."""
MEDIA_TYPE = {"Accept": "application/json", "Content-Type": "application/json"}
EVIDENCE_CHARS = 500


class Ironic:
    """Ironic, at one of these URLs."""

    def __init__(
        self, urls: Sequence[str], *, ca_path: str | None = None, insecure: bool = False, request_id: str | None = None
    ) -> None:
        """`ca_path`: a file with the only authorities that are trusted; `request_id` marks all calls in its logs."""
        self._urls = tuple(urls)
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = False if insecure else ca_path or True
        if request_id:
            self._session.headers["X-OpenStack-Request-ID"] = request_id

    def lookup(self, macs: Sequence[str], node_uuid: str | None) -> Lookup:
        """Who we are to Ironic. Raises `LinkError`; `ControllerRefused` where it does not wait for such a machine."""
        query = {"addresses": ",".join(macs), **({"node_uuid": node_uuid} if node_uuid else {})}
        response = self._asked("GET", "/v1/lookup", query=query)
        return decode(Lookup, response.content, "reading the answer of Ironic's lookup")

    def heartbeat(self, node_uuid: str, beat: Beat) -> None:
        """Alive, and here. Raises as above."""
        self._asked("POST", f"/v1/heartbeat/{node_uuid}", body=beat.model_dump_json(exclude_none=True))

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
        headers = {"X-OpenStack-Ironic-API-Version": API_VERSION}
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
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> requests.Response:
        """The answer of the first URL that answers at all."""
        silent: LinkError | None = None
        for url in urls:
            try:
                response = self._session.request(
                    method,
                    url,
                    params=query,
                    data=body,
                    headers={**MEDIA_TYPE, **(more or {})},
                    allow_redirects=False,
                    timeout=(CONNECT_TIMEOUT_S, timeout_s),
                )
            except RequestException as error:
                silent = LinkError(f"{doing} at {url}", type(error).__name__)
                silent.__cause__ = error
                continue
            must_be_good(f"{doing} at {url}", response)
            return response
        raise silent or LinkError(doing, "no URL of Ironic's is known")


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
