# SPDX-License-Identifier: Apache-2.0
"""Takes secrets out of texts that leave the machine for somebody's support case. Pure.

What counts is the name in front: words of kernel command lines, of URLs' queries, of JSON and of headers.
"""

from __future__ import annotations

import re

STARS = "***"
WORDS = "token|passw(?:or)?d|rootpwd|secret|sshkey|credential|private_?key|key_pem|user_?data|configdrive"
NAMES = rf"[\w.-]{{0,40}}(?:{WORDS})[\w-]{{0,40}}"  # bounded: a line may be megabytes of anything
ASSIGNED = re.compile(rf"""(?i)\b({NAMES})=("[^"\n]*"|'[^'\n]*'|[^\s&;,'"]+)""")
QUOTED = re.compile(rf"""(?i)(["']{NAMES}["']\s*:\s*)(["'])(?:\\.|(?!\2).)*\2""")
HEADER = re.compile(r"(?im)\b((?:proxy-)?authorization\s*[:=]\s*|bearer\s+|basic\s+)[A-Za-z0-9+/=._~-]{8,}")
USER = re.compile(r"(://)[^/\s@]+@")
PEM = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)


def redacted(text: str) -> str:
    """The same without what stands behind `ipa-agent-token=`, `bms.token=`, `rootpwd=` and the like."""
    text = PEM.sub(rf"\1{STARS}\2", text)
    text = QUOTED.sub(rf"\1\2{STARS}\2", text)
    text = ASSIGNED.sub(rf"\1={STARS}", text)
    text = HEADER.sub(rf"\1{STARS}", text)
    return USER.sub(rf"\1{STARS}@", text)
