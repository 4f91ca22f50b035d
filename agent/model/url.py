# SPDX-License-Identifier: Apache-2.0
"""URLs: where they lead, and how they are named in messages, without the secrets that people put into them. Pure."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit, urlunsplit

PORTS = {"http": 80, "https": 443, "oci": 443}

Origin = tuple[str, str, int]
"""Scheme, host and port (RFC 6454): who is who on the web. Credentials belong to one of them."""


def origin(url: str) -> Origin:
    """Raises `ValueError` for what is no URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)


def named(url: str) -> str:
    """The URL for people: without user and password, and without what follows "?", where signed URLs carry theirs."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL that is none"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "…" if parts.query else "", ""))


def without_user(url: str) -> tuple[str, str | None, str]:
    """The URL without `user:password@`, and these two. Raises `ValueError` for what is no URL."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, None, ""
    host = parts.netloc.rpartition("@")[2]
    bare = urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment))
    return bare, unquote(parts.username or ""), unquote(parts.password or "")
