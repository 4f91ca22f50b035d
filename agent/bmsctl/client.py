# SPDX-License-Identifier: Apache-2.0
"""Calls to the controller: a path and a body in, JSON or a model out."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from pathlib import Path
from typing import Any, Self, TypeVar

import requests
from pydantic import TypeAdapter, ValidationError
from requests.exceptions import RequestException

from agent.bmsctl.named import unread
from agent.errors import AgentError, ConfigError, DecodeError, LinkError
from agent.model.fault import Fault
from agent.model.frozen import faults
from agent.model.protocol import Refusal
from agent.program.wait import waiting_if_late

TIMEOUT_S = (5.0, 60.0)
UPLOAD_TIMEOUT_S = (5.0, 3600.0)
PART_BYTES = 1024 * 1024
ADDRESS = re.compile(r"https?://[^/\s]")
TOKEN = re.compile(r"[\x21-\x7e]+")
SAY_WHO = "Give the file that the token is in (--token-file), or itself in BMSCTL_TOKEN: bmsctl token create makes one."

T = TypeVar("T")


class Refused(AgentError):
    """The controller said no; `fault` is what it said."""

    exit_status = 2

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message, hint=fault.hint)
        self.fault = fault


class JobFailed(Refused):
    """What was ordered was tried, and failed."""

    exit_status = 1


def exit_status_of(error: AgentError) -> int:
    """A fault that the agent knows has the status that it has there; any other one that of its kind."""
    if not isinstance(error, Refused):
        return error.exit_status
    statuses = {
        kind.code: kind.exit_status for kind in _kinds(AgentError) if kind.__module__.startswith("agent.errors.")
    }
    return statuses.get(error.fault.code, error.exit_status)


def _kinds(kind: type[AgentError]) -> Iterator[type[AgentError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


def why(error: RequestException) -> str:
    """What the system says, which is at the end of a chain of libraries."""
    told = type(error).__name__
    link: BaseException | None = error
    while link is not None:
        told = (link.strerror if isinstance(link, OSError) else None) or told
        link = link.__cause__ or link.__context__
    return told


def readable(ca: Path) -> Path:
    """A file with certificates. Raises `ConfigError`."""
    try:
        ssl.create_default_context(cafile=ca)
    except OSError as error:
        doing = f"reading the controller's authority in {ca}"
        raise ConfigError(doing, str(error), hint="Fetch it from the controller: /boot/ca.pem.") from error
    return ca


class Client:
    """The controller at `url`, with a user's token; over TLS it is whoever an authority certifies: that of the file
    `ca`, or else one of the system's."""

    def __init__(
        self,
        url: str,
        token: str | None,
        session: requests.Session | None = None,
        project: str | None = None,
        ca: Path | None = None,
    ) -> None:
        """Raises `ConfigError`."""
        if not ADDRESS.match(url):
            hint = "Give --url, or BMSCTL_URL, as http://HOST:PORT or https://HOST:PORT."
            raise ConfigError(f"calling the controller at {url!a}", "that is no address of one", hint=hint)
        if token and not TOKEN.fullmatch(token):
            raise ConfigError("reading the token", "it has characters that no token has", hint=SAY_WHO)
        self._url = url.rstrip("/")
        self._sign: Callable[[str], AbstractContextManager[None]] = waiting_if_late
        self._session = session or requests.Session()
        self._session.trust_env = False  # ~/.netrc would take the token's place, and a proxy would see it
        if ca is not None:
            self._session.verify = str(readable(ca))
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        if project:
            self._session.headers["X-BMS-Project"] = project

    @property
    def silent(self) -> Self:
        """The same for somebody who draws on the terminal."""
        other = copy(self)
        other._sign = lambda _: nullcontext()
        return other

    def get(self, path: str, **query: str) -> Any:
        """Read. Raises `Refused`, `LinkError`."""
        return self._call("GET", path, params=query)

    def post(self, path: str, body: Any = None) -> Any:
        """Create, or begin something. Raises as `get` does."""
        return self._call("POST", path, json=body)

    def patch(self, path: str, body: Any) -> Any:
        """Change. Raises as `get` does."""
        return self._call("PATCH", path, json=body)

    def delete(self, path: str) -> Any:
        """Delete. Raises as `get` does."""
        return self._call("DELETE", path)

    def upload(self, path: str, file: Path, query: dict[str, str], advance: Callable[[int], object]) -> Any:
        """Send a file as the body, telling `advance` how many bytes went. Raises as `get` does."""
        try:
            with file.open("rb") as source:
                return self.silent._call(
                    "POST",
                    path,
                    params=query,
                    data=_Body(source.read, file.stat().st_size, advance),
                    headers={"Content-Type": "application/octet-stream"},
                    timeout=UPLOAD_TIMEOUT_S,
                )
        except OSError as error:
            raise unread(f"reading {file}", error) from None

    def download(self, path: str, file: Path) -> int:
        """Into a file, which is there whole or not at all; its size. Raises as `get` does, and `ConfigError`."""
        answer = self._answered("GET", path, timeout=UPLOAD_TIMEOUT_S)
        part = file.with_name(f".{file.name}.part")
        try:
            part.write_bytes(answer.content)
            part.replace(file)
        except OSError as error:
            raise ConfigError(f"writing {file}", error.strerror or str(error)) from error
        finally:
            part.unlink(missing_ok=True)
        return len(answer.content)

    def _call(self, method: str, path: str, **more: Any) -> Any:
        answer = self._answered(method, path, **more)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            doing = f"calling {method} {self._url}{path}"
            raise DecodeError(doing, "the answer is no JSON: is this our controller?") from error

    def _answered(self, method: str, path: str, **more: Any) -> requests.Response:
        try:
            with self._sign(f"waiting for {self._url}"):
                answer = self._session.request(method, f"{self._url}{path}", **({"timeout": TIMEOUT_S} | more))
        except RequestException as error:
            hint = "Check that the controller runs there (--url, BMSCTL_URL), and the network between."
            raise LinkError(f"calling {method} {self._url}{path}", why(error), hint=hint) from None
        if not answer.ok:
            raise Refused(refusal(answer.content, answer.status_code))
        return answer


class _Body:
    """A body of known length that tells how much of it went."""

    def __init__(self, read: Callable[[int], bytes], length: int, advance: Callable[[int], object]) -> None:
        self._read = read
        self._length = length
        self._advance = advance

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = PART_BYTES) -> bytes:
        """The next part."""
        part = self._read(size)
        self._advance(len(part))
        return part


def refusal(body: bytes, status: int) -> Fault:
    """The fault in an answer; something in between may have answered instead."""
    try:
        return Refusal.model_validate_json(body).fault
    except ValidationError:
        return Fault(code=f"HTTP.{status}", message=f"status {status} without a fault: is this our controller?")


def read(kind: type[T], answer: Any) -> T:
    """An answer as a model, or a tuple of models. Raises `DecodeError`."""
    try:
        return TypeAdapter(kind).validate_python(answer)
    except ValidationError as error:
        raise DecodeError("reading the controller's answer", faults(error)) from None
