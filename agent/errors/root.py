# SPDX-License-Identifier: Apache-2.0
"""What every error of the project has."""

from __future__ import annotations

from typing import ClassVar


class AgentError(Exception):
    """Something failed while `doing` something; `evidence` is what was seen."""

    code: ClassVar[str] = "AGENT.ERROR"
    exit_status: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    advice: ClassVar[str] = "Look at the agent's log for the lines before this one."

    def __init__(self, doing: str, evidence: str = "", *, hint: str | None = None) -> None:
        super().__init__(f"{doing}: {evidence}" if evidence else doing)
        self.doing = doing
        self.evidence = evidence
        self.hint = hint or self.advice
        self.found: dict[str, str | int] = {}  # out nevertheless, for a job's report

    def causes(self) -> str:
        """The chain below this error, each link said once, outermost first. What the system said is often said."""
        links, link = list[str](), self.__cause__
        while link is not None:
            words = str(link) or type(link).__name__
            essence = (link.strerror if isinstance(link, OSError) else None) or words
            if not any(essence in told for told in (str(self), *links)):
                links.append(words)
            link = link.__cause__
        return "; caused by ".join(links)
