# SPDX-License-Identifier: Apache-2.0
"""By which token a machine comes: the one that its boot script had, or one that an operator made.

Our boot script gives a token to whoever asks, so it says only that a machine booted from us, by which NIC. An
operator's token travels by the operator's own way (their iPXE script, virtual media), and says that the machine is
meant: it is approved.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field, SecretStr, model_validator

from agent.controller.context import Controller
from agent.controller.flow import attest
from agent.controller.flow.strangers import must_have_room
from agent.controller.keys import KEY_BYTES, digest
from agent.controller.records.node import Boot, Node, Pass, Token
from agent.controller.records.owned import Name
from agent.controller.refusal import Missing, TokenRefused
from agent.controller.store.database import Transaction
from agent.model.frozen import Frozen
from agent.model.machine_identity import identity, macs
from agent.model.network.values import Mac
from agent.model.protocol import Enroll
from agent.program.log import Logger

NOBODY = "anybody"
ID_CHARACTERS = 12
"""Of a token's digest: by them it is named."""

log = Logger("controller")


@dataclass(frozen=True)
class Admitted:
    """What the token said."""

    mac: str
    digest: str
    boot: Boot = Boot.OWN
    approved: bool = False
    rack: str | None = None


class PassSpec(Frozen):
    """An enrolment token to be: for one machine, by its MAC, or for so many of a rack."""

    mac: Mac | None = None
    rack: Name | None = None
    machines: int = Field(default=1, ge=1, le=1000, description="how many may come by it")
    hours: int = Field(default=24, ge=1, le=24 * 90, description="until it expires")

    @model_validator(mode="after")
    def _one_machine_has_one_mac(self) -> PassSpec:
        if self.mac is not None and self.machines != 1:
            raise ValueError("a token for one MAC is for one machine")
        return self


def accept(tx: Transaction, now: datetime, message: Enroll, key: str | None) -> Admitted:
    """The token is this machine's, and is of this boot and this key, or fresh. Raises `TokenRefused`,
    `EnrolmentRefused`."""
    doing = f"enrolling boot {message.session.boot_id}"
    if message.token is None:
        raise TokenRefused(doing, "no token was sent")
    kept = digest(message.token.get_secret_value())
    token, passed = tx.tokens.get(kept), tx.passes.get(kept)
    if token is not None:
        _of_this_boot(doing, token, now, message, key)
        _must_have(doing, token.mac, message)
        must_have_room(tx, doing, token.mac)
        _use(tx, token, message, key)
        return Admitted(token.mac, token.digest, token.boot)
    if passed is None:
        raise TokenRefused(doing, "there is no such token")
    return _pass(tx, doing, passed, now, message, key)


def _of_this_boot(doing: str, token: Token, now: datetime, message: Enroll, key: str | None) -> None:
    if token.boot_id is None:
        if token.expires_at <= now:
            raise TokenRefused(doing, "the token has expired")
        return
    if (token.boot_id, token.identity) != (message.session.boot_id, identity(message.inventory)):
        raise TokenRefused(doing, "the token was used by another boot")
    if token.public_key != key:
        raise TokenRefused(doing, "the token was used with another key")


def _must_have(doing: str, mac: str, message: Enroll) -> None:
    present = macs(message.inventory)
    if mac not in present:
        raise TokenRefused(doing, f"the token is for MAC {mac}, the machine has {', '.join(present) or 'none'}")


def _use(tx: Transaction, token: Token, message: Enroll, key: str | None) -> None:
    tx.tokens.change(token, boot_id=message.session.boot_id, identity=identity(message.inventory), public_key=key)


def _pass(tx: Transaction, doing: str, passed: Pass, now: datetime, message: Enroll, key: str | None) -> Admitted:
    """What a machine has used of an operator's token is a token of its own, by the same rules."""
    if passed.revoked_at is not None or passed.expires_at <= now:
        raise TokenRefused(doing, f"the token is {'revoked' if passed.revoked_at else 'expired'}")
    present = macs(message.inventory)
    if not present:
        raise TokenRefused(doing, "the machine has no NIC")
    mac = passed.mac or (message.boot_mac if message.boot_mac in present else present[0])
    _must_have(doing, mac, message)
    mark = digest(f"{passed.digest} {identity(message.inventory)}")
    used = tx.tokens.get(mark)
    if used is None:
        if passed.left < 1:
            raise TokenRefused(doing, "the token is used up")
        tx.passes.change(passed, left=passed.left - 1)
        used = tx.tokens.add(Token(digest=mark, mac=mac, expires_at=passed.expires_at))
        log.info("enrolment token used", token=passed.digest[:12], mac=mac, left=passed.left - 1)
    elif used.boot_id == message.session.boot_id:
        _of_this_boot(doing, used, now, message, key)
    else:
        used = tx.tokens.change(used, boot=Boot.OWN)
    _use(tx, used, message, key)
    return Admitted(mac, mark, used.boot, approved=True, rack=passed.rack)


def ordered(tx: Transaction, now: datetime, node: Node, token: Admitted) -> Boot:
    """In which boot it came. An operator's token knows nothing of boots: by it comes whoever comes first once the BMC
    has booted the machine."""
    if not token.approved or attest.ordered(tx, now, node) is None:
        return token.boot
    tx.nodes.change(node, boot_order=None)
    used = tx.tokens.get(token.digest)
    assert used is not None, "it was just used"
    return tx.tokens.change(used, boot=Boot.ORDERED).boot


def create_pass(controller: Controller, spec: PassSpec) -> tuple[Pass, SecretStr]:
    """The token itself is nowhere kept: this is the one time that it is told."""
    secret, now = secrets.token_urlsafe(KEY_BYTES), controller.clock.now()
    with controller.write() as tx:
        made = tx.passes.add(
            Pass(
                digest=digest(secret),
                mac=spec.mac,
                rack=spec.rack,
                left=spec.machines,
                created_by=controller.caller.name if controller.caller else NOBODY,
                created_at=now,
                expires_at=now + timedelta(hours=spec.hours),
            )
        )
    return made, SecretStr(secret)


def revoke_pass(controller: Controller, pass_id: str) -> Pass:
    """Nobody comes by it any more; who came stays. Raises `Missing`."""
    with controller.write() as tx:
        found = next((one for one in tx.passes.all() if one.digest[:ID_CHARACTERS] == pass_id), None)
        if found is None:
            raise Missing("revoking an enrolment token", f"there is no enrolment token {pass_id}")
        return tx.passes.change(found, revoked_at=found.revoked_at or controller.clock.now())
