# SPDX-License-Identifier: Apache-2.0
"""A call to the controller as HTTP, over TLS where its URL says so: the only module of the agent's own protocol that
reads what comes from outside before it was judged. What it read is bytes; whoever asked makes a model of them, or not.
"""

from __future__ import annotations

import requests
from requests.exceptions import RequestException

from agent.errors import LinkError
from agent.link.body import PLAIN, taken
from agent.link.leash import CUT, Leash, Leashed
from agent.link.trust import Pinned, authority
from agent.model.call import Answer, Call

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
"""For its beginning, and as long again for the rest. Whoever drips has no more than both."""
DATE_LENGTH = 100


class Direct:
    """`relay.Wire` from this very process."""

    def __init__(self, url: str, ca: str | None, answer_s: float = ANSWER_TIMEOUT_S) -> None:
        """With the digest of an authority, the controller is whoever that certifies. Once what
        was to be waited for is over, an answer begins within `answer_s`, and is whole within as much again."""
        self._answer_s = answer_s
        self._url = url
        self._pin = ca
        self._authority: str | None = None
        self._shown: str | None = None
        self._session = requests.Session()
        self._leash = Leash()
        self._session.mount("http://", Leashed(self._leash))
        self._session.mount("https://", Leashed(self._leash))
        self._session.trust_env = False  # a proxy of the tenant's must not see the credential

    def exchange(self, call: Call, body: bytes) -> tuple[Answer, bytes]:
        """Raises `LinkError`, `ConfigError`."""
        doing = f"calling {call.method} {self._url}{call.path}"
        self._trust()
        try:
            with self._leash.within(2 * self._answer_s + call.wait_s):
                answer = self._asked(call, body, doing)
        except (RequestException, LinkError) as error:
            if self._leash.is_cut:
                raise LinkError(doing, CUT) from error
            if isinstance(error, LinkError):
                raise
            raise LinkError(doing, type(error).__name__) from error
        if self._leash.is_cut:  # an answer without a length looks whole wherever it ends
            raise LinkError(doing, CUT)
        return answer

    def _asked(self, call: Call, body: bytes, doing: str) -> tuple[Answer, bytes]:
        response = self._session.request(
            call.method,
            f"{self._url}{call.target}",
            data=body or None,
            auth=as_it_is,
            allow_redirects=False,
            headers={**call.headers, "Content-Type": call.kind, **PLAIN},
            timeout=(CONNECT_TIMEOUT_S, self._answer_s + call.wait_s),
            stream=True,
        )
        content = taken(response, doing, self._answer_s)
        return Answer(status=response.status_code, date=response.headers.get("Date", "")[:DATE_LENGTH] or None), content

    def show(self, shown: str | None) -> None:
        """With which certificate and key, as PEM, connections are opened from now on."""
        former = self._session.adapters.get("https://")
        if former is not None:
            former.close()
        self._shown = shown
        if self._authority is not None:
            self._session.mount("https://", Pinned(self._authority, self._leash, shown))

    def _trust(self) -> None:
        """Once, before the first call. Raises `LinkError`, `ConfigError`."""
        if self._pin is not None and self._authority is None:
            self._authority = authority(self._url, self._pin, self._leash, self._answer_s)
            self._session.mount("https://", Pinned(self._authority, self._leash, self._shown))


def as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """It has its headers: requests would put others there, made of a URL with a user's name in it."""
    return request
