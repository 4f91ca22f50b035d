# SPDX-License-Identifier: Apache-2.0
"""While a command imports, nobody looks for garbage; a command that stays has it taken away."""

from __future__ import annotations

import gc

import pytest

from agent.cli.unswept import unswept


def test_as_it_was() -> None:
    """Whatever happens inside, one block in another too; who has switched it off finds it off."""
    with pytest.raises(ValueError, match="broken"), unswept():
        with unswept():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ValueError("broken")
    assert gc.isenabled()
    gc.disable()
    try:
        with unswept():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
