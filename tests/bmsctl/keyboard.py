# SPDX-License-Identifier: Apache-2.0
"""`bmsctl` as it is typed: words in; status, output and error text out. Its HTTP ends in the application itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import BaseAdapter
from typer.testing import CliRunner

from agent.bmsctl import app, said
from agent.bmsctl.client import Client, exit_status_of
from agent.errors import AgentError
from tests.controller.world import URL, World


class InProcess(BaseAdapter):
    """Carries requests to the application, and answers back."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def send(self, request: requests.PreparedRequest, *_options: Any, **_more: Any) -> requests.Response:
        """One exchange."""
        body: Any = request.body
        content = body.read(-1) if hasattr(body, "read") else body
        headers = {key: value for key, value in request.headers.items() if key.lower() != "content-length"}
        answer = self._world.http.request(str(request.method), str(request.url), content=content, headers=headers)
        response = requests.Response()
        response.status_code = answer.status_code
        response._content = answer.content
        response.headers.update(answer.headers)
        return response

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Typed:
    """What came of it."""

    status: int
    output: str
    error: str

    @property
    def json(self) -> Any:
        """The output, read by a program."""
        return json.loads(self.output)


class Keyboard:
    """Types commands."""

    def __init__(self, world: World, token: str | None = None) -> None:
        session = requests.Session()
        session.mount("http://", InProcess(world))
        self._client = Client(URL, token or world.controller.user_token, session)

    def __call__(self, *words: str, columns: int | None = 200) -> Typed:
        """Type `bmsctl` and these words, in a terminal of that width, or in none."""
        environment = {"COLUMNS": None if columns is None else str(columns)}
        result = CliRunner().invoke(app, list(words), obj=self._client, env=environment)
        if isinstance(result.exception, AgentError):
            return Typed(exit_status_of(result.exception), result.stdout, said(result.exception))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Typed(result.exit_code, result.stdout, result.stderr)
