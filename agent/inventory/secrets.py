# SPDX-License-Identifier: Apache-2.0
"""Takes secrets out of texts that leave the machine for somebody's support case. Pure.

What counts is the name in front: words of command lines, of URLs' queries, of JSON and of headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

STARS = "***"
WORDS = (
    "token|passw(?:or)?d|passphrase|admin_?pass|rootpwd|secret|sshkey|credential|nonce|private_?key|key_pem|api_?key|"
    "access_?key|user_?data|configdrive|temp_url_sig|signature|\\bsig\\b|\\bauth\\b"
)
HINT = re.compile(rf"(?i){WORDS}")
"""Most lines of a log have none: they are not looked at more closely."""
NAMES = rf"[\w.-]{{0,40}}(?:{WORDS})[\w-]{{0,40}}"  # bounded: a line may be megabytes of anything
ASSIGNED = re.compile(rf"""(?i)\b({NAMES}[ \t]{{0,8}}[=:][ \t]{{0,8}})("[^"\n]*"|'[^'\n]*'|[^\s&;,'"]+)""")
QUOTED = re.compile(rf"""(?i)(["']{NAMES}["']\s*:\s*)(["'])((?:\\.|(?!\2).)*)\2""")
ESCAPED = re.compile(rf"""(?i)(\\+["']{NAMES}\\+["']\s*:\s*\\+["'])((?:(?!\\+["']).){{0,4096}})""")
"""JSON within a text of JSON."""
ARGUMENT = re.compile(rf"""(?i)((?<!\S)--{NAMES}[ \t]+)("[^"\n]*"|'[^'\n]*'|[^\s-]\S*)""")
"""Of a process that is still running."""
SETTING = re.compile(rf"""(?im)^([ \t]{{0,40}}{NAMES}[ \t]{{0,40}}[=:][ \t]{{0,40}})("[^"\n]*"|'[^'\n]*'|[^\s"'].*)$""")
"""TOML, INI, YAML."""
HEADER = re.compile(r"(?im)\b((?:proxy-)?authorization\s*[:=]\s*|bearer\s+|basic\s+)[A-Za-z0-9+/=._~-]{8,}")
USER = re.compile(r"(://)[^/\s@]+@")
REMOTE_ROOT = re.compile(r"(?i)\b((?:net)?root=\"?[a-z0-9]{1,16}:)[^\s\"]{1,512}@")
"""`root=iscsi:user:password:their-user:their-password@server:…` (dracut.cmdline(7))."""
CRYPT = re.compile(r"\$(?:1|5|6|7|y|gy|2[aby])\$[./0-9A-Za-z$=,]{8,256}")
"""A password's hash, in the form of crypt(5)."""
PEM = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
LEAST_LENGTH = 8
"""What is shorter would be found within other words."""


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The same without what stands behind `ipa-agent-token=`, `bms.token=`, `rootpwd=` and the like, and without these
    secrets, wherever they are.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, STARS)
    text = PEM.sub(rf"\1{STARS}\2", text)
    text = "\n".join(named(line) if HINT.search(line) else line for line in text.split("\n"))
    text = HEADER.sub(rf"\1{STARS}", text)
    text = CRYPT.sub(STARS, text)
    text = REMOTE_ROOT.sub(rf"\1{STARS}@", text)
    return USER.sub(rf"\1{STARS}@", text)


def named(line: str) -> str:
    """A line without what stands behind a secret's name."""
    line = QUOTED.sub(rf"\1\2{STARS}\2", line)
    line = ESCAPED.sub(rf"\1{STARS}", line)
    line = ASSIGNED.sub(rf"\1{STARS}", line)
    line = ARGUMENT.sub(rf"\1{STARS}", line)
    return SETTING.sub(rf"\1{STARS}", line)


def values(text: str) -> set[str]:
    """What stands behind a secret's name in a text that keeps some: to be looked for elsewhere."""
    found = [match[3] for match in QUOTED.finditer(text)] + [match[2] for match in ASSIGNED.finditer(text)]
    found += [match[2] for match in SETTING.finditer(text)]
    plain = {value.strip().strip("\"'") for value in found}
    return {value for value in plain if len(value) >= LEAST_LENGTH and value.strip("*")}
