# SPDX-License-Identifier: Apache-2.0
"""What is kept of erasures: every certificate for ever, and the disks that none proves erased."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from agent.controller.records.node import Boot
from agent.model.erasing.certificate import SignedCertificate
from agent.model.frozen import Frozen


class KeptCertificate(Frozen):
    """A certificate as it came, and from whom: the node's own credential, in this run of its agent."""

    request_id: str
    node_id: str
    signed: SignedCertificate
    session_id: str | None = Field(default=None, description="of the agent that handed it in, as that node")
    boot: Boot = Field(default=Boot.OWN, description="how that ramdisk's boot came about, as this controller knows")
    received_at: datetime


class QuarantinedDisk(Frozen):
    """A disk that may hold a former tenant's data, in whichever node it is. It is nobody's until it is erased, is out,
    or an operator accepts that it is where it is.
    """

    id: str
    node_id: str = Field(description="in which it was last seen not to be erased, or was accepted")
    disk: str = Field(description="its serial, or its WWN, or, where it has neither, how large it is")
    wwn: str | None = Field(default=None, description="serials of two makers may be the same, WWNs are not")
    why: str
    since: datetime
    shared: bool | None = Field(default=None, description="another disk of the node had that name, and no WWN to tell")
    accepted_by: str | None = Field(default=None, description="who lets the node have servers all the same")
    accepted_at: datetime | None = None

    @property
    def said_by(self) -> str:
        """The node whose erasure set it apart, by its id, wherever the disk is: a node may claim another's disk."""
        return self.id.partition(":")[0]

    def is_accepted(self, node_id: str) -> bool:
        """In this node: in another one it is another operator's question."""
        return self.accepted_by is not None and self.node_id == node_id
