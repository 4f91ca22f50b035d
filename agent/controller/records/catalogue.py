# SPDX-License-Identifier: Apache-2.0
"""What servers are made of, by order: flavors and key pairs. Networks and images have files of their own."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from agent.controller.records.owned import Name, Owned
from agent.model.flavor import Needs
from agent.model.frozen import Frozen


class FlavorSpec(Needs):
    """A flavor to be made: what a node must at least have."""

    name: Name


class Flavor(FlavorSpec):
    """A flavor as it is kept."""

    id: str
    created_at: datetime


class KeyPairSpec(Frozen):
    """A public key for logging in."""

    name: Name
    public_key: str = Field(max_length=16384)


class KeyPair(Owned):
    """A key pair as it is kept: the public half alone."""

    name: str
    public_key: str
    fingerprint: str
    created_at: datetime
