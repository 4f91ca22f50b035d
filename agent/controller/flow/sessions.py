# SPDX-License-Identifier: Apache-2.0
"""Which run of the agent speaks for a node: the newest. What an earlier one says late changes nothing."""

from __future__ import annotations

from datetime import datetime

from agent.controller.records.node import AgentSession, Boot, Credential, Node
from agent.controller.refusal import AgentUnauthorized
from agent.controller.store.database import Transaction
from agent.model.protocol import Session

SEEN_STEP_S = 5.0


def open_session(
    tx: Transaction, now: datetime, node: Node, session: Session, boot: Boot = Boot.OWN
) -> tuple[Node, bool]:
    """Open this session, and say whether it is the node's newest. Opening one again changes nothing; one of a boot
    that is over, arriving late, never becomes the newest. Raises `AgentUnauthorized` for another node's."""
    known = tx.sessions.get(session.session_id)
    if known is not None and known.node_id != node.id:
        raise AgentUnauthorized("opening a session", "it is another node's")
    if known is not None:
        seen(tx, now, known)
        return node, node.session_id == known.session_id
    newest = current(tx, node)
    earlier_boot = tx.sessions.find(node_id=node.id, boot_id=session.boot_id)
    late = newest is not None and earlier_boot is not None and newest.boot_id != session.boot_id
    tx.sessions.add(
        AgentSession(
            session_id=session.session_id,
            node_id=node.id,
            mode=session.mode,
            boot_id=session.boot_id,
            agent_version=session.agent_version,
            boot=boot,
            opened_at=now,
            seen_at=now,
        )
    )
    if late:
        return node, False
    return tx.nodes.change(node, session_id=session.session_id, updated_at=now), True


def current(tx: Transaction, node: Node) -> AgentSession | None:
    """The node's newest session."""
    return tx.sessions.get(node.session_id) if node.session_id else None


def speaking(tx: Transaction, node: Node, credential: Credential) -> AgentSession | None:
    """The session in whose name this credential speaks: the newest, if it is of the credential's mode, and, where the
    call is signed, the very one that signed it."""
    session = current(tx, node)
    if session is None or session.mode != credential.mode:
        return None
    return session if credential.session_id in (None, session.session_id) else None


def seen(tx: Transaction, now: datetime, session: AgentSession) -> AgentSession:
    """Something was heard of it. Written down every few seconds at most."""
    if fresh(now, session):
        return session
    return tx.sessions.change(session, seen_at=now)


def fresh(now: datetime, session: AgentSession) -> bool:
    """It was heard of a moment ago."""
    return (now - session.seen_at).total_seconds() < SEEN_STEP_S
