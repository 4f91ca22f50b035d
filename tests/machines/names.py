# SPDX-License-Identifier: Apache-2.0
"""An inventory without the names that a recording replaces: what is left is the same on both sides."""

from __future__ import annotations

import re

from pydantic import BaseModel

NAMES = re.compile(r'"(serial|wwn\w*|uuid|eui64|nguid|asset_tag|boot_id|current_mac|mac|gateway)": "[^"]*"')
LISTS = re.compile(r'"(addresses|aliases|serials|wwns|certificates|by_id)": \[[^\[\]]*\]')


def without_names(found: BaseModel) -> list[str]:
    """Line by line; a name that is absent, or unknown, is told to be so."""
    told = LISTS.sub(r'"\1": …', NAMES.sub(r'"\1": "…"', found.model_dump_json(indent=1)))
    return told.splitlines()
