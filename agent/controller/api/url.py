# SPDX-License-Identifier: Apache-2.0
"""Under which URL a machine reaches us: the one that was configured, or the one that it just called."""

from __future__ import annotations

import re

from fastapi import Request

from agent.controller.context import Controller
from agent.controller.options import host_of
from agent.controller.refusal import BadParameter

PLAIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")
"""It goes to a kernel command line and into scripts: nothing in it may end a word or a line."""


def url_of(request: Request, controller: Controller) -> str:
    """Without a slash at its end. Raises `BadParameter` for a Host header that is none."""
    if controller.options.url is not None:
        return controller.options.url.rstrip("/")
    url = str(request.base_url).rstrip("/")
    if request.url.scheme == "https" and request.url.port == controller.options.tls_port:
        url = f"http://{host_of(url)}:{controller.options.port}"  # where firmware and images are
    if not PLAIN.fullmatch(url):
        raise BadParameter("reading the Host header", "it is not a host and port")
    return url
