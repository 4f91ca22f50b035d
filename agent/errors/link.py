# SPDX-License-Identifier: Apache-2.0
"""The controller could not be reached, or answered nonsense."""

from __future__ import annotations

from agent.errors.root import AgentError


class LinkError(AgentError):
    """The controller, or an image server, could not be reached or answered nonsense."""

    code = "LINK.UNREACHABLE"
    exit_status = 7
    retryable = True
    advice = "Check that the address answers from this machine; the agent goes on trying."


class CertificateNotRenewed(LinkError):
    """The certificate by which this node's connections are opened is about to end, or over."""

    code = "LINK.CERTIFICATE"
    advice = "The controller's log says why. After its end a new one is asked for with every call; nothing is lost."


class ControllerRefused(LinkError):
    """The controller understood and said no."""

    code = "LINK.REFUSED"
    retryable = False
    advice = "The controller's log says why."

    def __init__(self, doing: str, evidence: str = "", *, hint: str | None = None, refusal: str = "") -> None:
        super().__init__(doing, evidence, hint=hint)
        self.refusal = refusal  # the controller's own code
