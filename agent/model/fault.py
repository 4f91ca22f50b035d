# SPDX-License-Identifier: Apache-2.0
"""An error as it travels: in a job's report, in a server's `fault`, in an HTTP answer."""

from __future__ import annotations

from agent.errors import AgentError
from agent.model.frozen import Frozen


class Fault(Frozen):
    """What went wrong; `code` is stable, `message` is for people, `details` is the chain of causes."""

    code: str
    message: str
    details: str = ""
    hint: str = ""
    retryable: bool = False

    @classmethod
    def of(cls, error: BaseException) -> Fault:
        """The fault that stands for any exception; a foreign one is a fault of ours, and says so."""
        if isinstance(error, AgentError):
            return cls(
                code=error.code,
                message=str(error),
                details=error.causes(),
                hint=error.hint,
                retryable=error.retryable,
            )
        return cls(
            code="AGENT.BUG",
            message=f"unexpected {type(error).__name__}: {error}",
            hint="This is a fault of bms-agent: report it with the log.",
        )
