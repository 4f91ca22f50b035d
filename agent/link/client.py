# SPDX-License-Identifier: Apache-2.0
"""Calls to the controller: one model out, one model back. One client belongs to one thread.

What is said is made, signed and judged here; the bytes go by a wire: `agent.link.relay`, or from this very process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from time import monotonic
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

from pydantic import SecretStr
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter
from tenacity.stop import stop_after_attempt, stop_any, stop_never, stop_when_event_set

from agent.errors import ControllerRefused, DecodeError, LinkError
from agent.host.doors import Clock
from agent.life.watch import Alive, unwatched
from agent.link.certificate import NodeCertificates, Shown
from agent.link.key import NodeKey, Signing
from agent.link.relay import Beside, wire_to
from agent.model.call import JSON, Call
from agent.model.fault import Fault
from agent.model.frozen import Frozen, Model, decode
from agent.model.protocol import CERTIFICATE_CODE, CERTIFICATE_PATH, CertificateRequest, NodeCertificate, Refusal
from agent.model.signature import CLOCK_CODE, CREDENTIAL
from agent.program.log import Logger

LONGEST_PAUSE_S = 60.0
OK = 200
REPAIRS = frozenset({CLOCK_CODE, CERTIFICATE_CODE})
"""Refusals after which a call is made again, once for each: with the controller's time, with a new certificate."""
MORE_S = 60.0
"""From a call's beginning: whatever it takes besides itself (a certificate, a repetition) begins by then. So a
controller that drips costs a call, and no loop of the daemon the time within which it must show that it lives."""
OPENING = ("/v1/agent/enroll", "/v1/agent/boot", CERTIFICATE_PATH)
"""Calls by which a node gets to where it is given a certificate."""

T = TypeVar("T")
log = Logger("link")


class Client:
    """A connection to the controller at `url`, with the node's credential once there is one."""

    def __init__(
        self,
        url: str,
        credential: SecretStr | None = None,
        key: NodeKey | None = None,
        session_id: str = "",
        ca: str | None = None,
        socket: str | None = None,
        certificates: NodeCertificates | None = None,
        more_s: float = MORE_S,
        beside: Beside | None = None,
    ) -> None:
        """With a key, every call is signed by it, as one of that session. With the digest of an authority, the
        controller is whoever that certifies; with both, it gives us a certificate, which may be shared with other
        clients. With a socket, the process behind it makes the calls; `beside`
        learns of it."""
        self._url = url.rstrip("/")
        self._wire = wire_to(self._url, ca, socket, beside)
        token = credential.get_secret_value() if credential is not None else ""
        self._bearer = {CREDENTIAL: f"Bearer {token}"} if credential is not None else {}
        self._signing = Signing(key, token, session_id) if key else None
        self._certificates = (certificates or NodeCertificates()) if key and ca else None
        self._more_s = more_s
        self._began_s = 0.0
        self._opened: Shown | None = None
        """By which the connection at hand is opened."""

    def post(self, path: str, message: Frozen, answer: type[Model]) -> Model:
        """Raises `LinkError`, `ControllerRefused`, `DecodeError`."""
        return self._begun("POST", path, answer, body=message.model_dump_json().encode())

    def send(self, path: str, body: bytes, kind: str, answer: type[Model], wait_s: float) -> Model:
        """Bytes of that kind, which may take that long. Raises as `post` does."""
        return self._begun("POST", path, answer, body=body, kind=kind, wait_s=wait_s)

    def get(self, path: str, answer: type[Model], query: Mapping[str, str], wait_s: float = 0.0) -> Model:
        """Long polls wait on the other side, up to `wait_s` more. Raises as `post` does."""
        return self._begun("GET", path, answer, query=query, wait_s=wait_s)

    def _begun(self, method: Literal["GET", "POST"], path: str, answer: type[Model], **more: Any) -> Model:
        self._began_s = monotonic()
        return self._call(method, path, answer, **more)

    def _left_s(self, doing: str) -> float:
        """In which whatever belongs to this call may begin. Raises `LinkError`."""
        left_s = self._began_s + self._more_s - monotonic()
        if left_s <= 0:
            raise LinkError(doing, f"what had to be done before took more than {self._more_s:g} s")
        return left_s

    def _call(
        self,
        method: Literal["GET", "POST"],
        path: str,
        answer: type[Model],
        *,
        body: bytes = b"",
        kind: str = JSON,
        query: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
        again: frozenset[str] = REPAIRS,
    ) -> Model:
        self._show(path)
        target = f"{path}?{urlencode(query)}" if query else path
        signed = self._signing.headers(method, target, body) if self._signing else {}
        call = Call(method=method, target=target, kind=kind, headers=self._bearer | signed, wait_s=wait_s)
        doing = f"calling {method} {self._url}{path}"
        self._left_s(doing)
        told, content = self._wire.exchange(call, body)
        if told.status >= 500:
            raise LinkError(doing, f"the controller answered {told.status}")
        if told.status != OK:
            fault = refusal(content, told.status)
            if fault.code in again and self._repaired(fault, told.date):
                left = again - {fault.code}
                return self._call(method, path, answer, body=body, kind=kind, query=query, wait_s=wait_s, again=left)
            raise ControllerRefused(doing, f"{fault.code}: {fault.message}", hint=fault.hint, refusal=fault.code)
        return decode(answer, content, f"reading the answer of {method} {path}")

    def _show(self, path: str) -> None:
        """The newest certificate, on the connection that the next call goes by. One that is soon to end is renewed
        before; while it is good, no call depends on that."""
        kept = self._certificates
        if kept is None:
            return
        if (
            path not in OPENING and self._is_due(kept) and kept.lock.acquire(blocking=False)
        ):  # or another thread is at it
            try:
                kept.take(self._fetched(kept))
            except (LinkError, DecodeError) as error:
                kept.failed(error, monotonic())
            finally:
                kept.lock.release()
        if kept.shown is not self._opened:
            self._opened = kept.shown
            self._wire.show(self._opened.pem if self._opened else None)

    def _is_due(self, kept: NodeCertificates) -> bool:
        assert self._signing is not None, "who has no key has no certificates"
        return kept.is_due(self._signing.now_s(), monotonic())

    def _fetched(self, kept: NodeCertificates) -> str:
        """By a call that is signed as any other, and needs no certificate."""
        body, again = CertificateRequest(public_key=kept.public).model_dump_json().encode(), frozenset({CLOCK_CODE})
        return self._call("POST", CERTIFICATE_PATH, NodeCertificate, body=body, again=again).certificate

    def _repaired(self, fault: Fault, date: str | None) -> bool:
        """Whether what the controller refused is put right. Raises as `post` does."""
        if fault.code == CLOCK_CODE and self._signing is not None and self._signing.learn(date):
            log.warning("the clock is not the controller's", fault=fault.message)
            return True
        kept = self._certificates
        if fault.code != CERTIFICATE_CODE or kept is None:
            return False
        log.info("a certificate is needed", fault=fault.message)
        doing = "waiting for a certificate that another thread fetches"
        if not kept.lock.acquire(timeout=self._left_s(doing)):
            raise LinkError(doing, "it takes too long")
        try:
            if kept.shown is self._opened:
                kept.take(self._fetched(kept))
        finally:
            kept.lock.release()
        return True


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
    alive: Alive = unwatched,
) -> T:
    """Call until it succeeds, with growing pauses: for ever (the controller may be away for hours), or so many times,
    or for so long; before each time it says that it is `alive`.

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

    def turn() -> T:
        alive()
        return call()

    return retrying(turn)
