# SPDX-License-Identifier: Apache-2.0
"""Calls to the controller: one model out, one model back. One client belongs to one thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from typing import TypeVar

import requests
import structlog
from pydantic import SecretStr
from requests.exceptions import RequestException
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter
from tenacity.stop import stop_after_attempt, stop_any, stop_never, stop_when_event_set

from agent.errors import ControllerRefused, DecodeError, LinkError
from agent.host.doors import Clock
from agent.link.body import PLAIN, taken
from agent.link.key import NodeKey, Signing
from agent.link.trust import Pinned, authority
from agent.model.fault import Fault
from agent.model.frozen import Frozen, Model, decode
from agent.model.protocol import Refusal
from agent.model.signature import CLOCK_CODE

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
LONGEST_PAUSE_S = 60.0

T = TypeVar("T")
log = structlog.get_logger("link")


class Client:
    """A connection to the controller at `url`, with the node's credential once there is one."""

    def __init__(
        self,
        url: str,
        credential: SecretStr | None = None,
        key: NodeKey | None = None,
        session_id: str = "",
        ca: str | None = None,
    ) -> None:
        """With a key, every call is signed by it, as one of that session. With the digest of an authority, the
        controller is whoever that certifies."""
        self._pin = ca
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the tenant's must not see the credential
        if credential is not None:
            self._session.headers["Authorization"] = f"Bearer {credential.get_secret_value()}"
        self._signing = (
            Signing(key, url, credential.get_secret_value() if credential else "", session_id) if key else None
        )

    def post(self, path: str, message: Frozen, answer: type[Model]) -> Model:
        """Raises `LinkError`, `ControllerRefused`, `DecodeError`."""
        return self._call("POST", path, answer, body=message.model_dump_json())

    def send(self, path: str, body: bytes, kind: str, answer: type[Model], wait_s: float) -> Model:
        """Bytes of that kind, which may take that long. Raises as `post` does."""
        return self._call("POST", path, answer, body=body, kind=kind, wait_s=wait_s)

    def get(self, path: str, answer: type[Model], query: Mapping[str, str], wait_s: float = 0.0) -> Model:
        """Long polls wait on the other side, up to `wait_s` more. Raises as `post` does."""
        return self._call("GET", path, answer, query=query, wait_s=wait_s)

    def _trust(self) -> None:
        """Once, before the first call. Raises `LinkError`, `ConfigError`."""
        if self._pin is not None:
            self._session.mount("https://", Pinned(authority(self._url, self._pin)))
            self._pin = None

    def _call(
        self,
        method: str,
        path: str,
        answer: type[Model],
        *,
        body: str | bytes | None = None,
        kind: str = "application/json",
        query: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
        again: bool = True,
    ) -> Model:
        doing = f"calling {method} {self._url}{path}"
        self._trust()
        try:
            response = self._session.request(
                method,
                f"{self._url}{path}",
                params=query,
                data=body,
                auth=self._signing,
                allow_redirects=False,
                headers={"Content-Type": kind, **PLAIN},
                timeout=(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S + wait_s),
                stream=True,
            )
            content = taken(response, doing, ANSWER_TIMEOUT_S)
        except RequestException as error:
            raise LinkError(doing, type(error).__name__) from error
        if response.status_code >= 500:
            raise LinkError(doing, f"the controller answered {response.status_code}")
        if response.status_code != requests.codes.ok:
            fault = refusal(content, response.status_code)
            if again and fault.code == CLOCK_CODE and self._signing and self._signing.learn(response):
                log.warning("the clock is not the controller's", fault=fault.message)
                return self._call(method, path, answer, body=body, kind=kind, query=query, wait_s=wait_s, again=False)
            raise ControllerRefused(doing, f"{fault.code}: {fault.message}", hint=fault.hint, refusal=fault.code)
        return decode(answer, content, f"reading the answer of {method} {path}")


def refusal(body: bytes, status: int) -> Fault:
    """The fault in a 4xx answer; something in between (a proxy, another server) may have answered instead."""
    try:
        return decode(Refusal, body, "reading a refusal").fault
    except DecodeError:
        return Fault(code=f"HTTP.{status}", message=f"status {status} without a fault: is this our controller?")


def patiently(
    call: Callable[[], T],
    clock: Clock,
    stop: Event,
    what: str,
    tries: int | None = None,
    *,
    within_s: float | None = None,
    first_pause_s: float = 1.0,
) -> T:
    """Call until it succeeds, with growing pauses: for ever (the controller may be away for hours), or so many times,
    or for so long.

    Even a refusal may end: an operator approves, a database comes back. Raises the last error once `stop` is set, or
    after the last try.
    """

    def tell(state: RetryCallState) -> None:
        pause = state.next_action.sleep if state.next_action else 0.0
        error = state.outcome.exception() if state.outcome else None
        log.warning("trying again", what=what, attempt=state.attempt_number, pause_s=round(pause, 1), error=str(error))

    def pause(seconds: float) -> None:
        clock.wait(stop, seconds)

    began_s = clock.monotonic_s()
    stops = stop_any(stop_when_event_set(stop), stop_after_attempt(tries) if tries else stop_never)

    def is_over(state: RetryCallState) -> bool:
        return stops(state) or (within_s is not None and clock.monotonic_s() - began_s >= within_s)

    retrying = Retrying(
        retry=retry_if_exception_type((LinkError, DecodeError)),
        wait=wait_exponential_jitter(initial=first_pause_s, max=LONGEST_PAUSE_S, jitter=1.0),
        stop=is_over,
        sleep=pause,
        before_sleep=tell,
        reraise=True,
    )
    return retrying(call)
