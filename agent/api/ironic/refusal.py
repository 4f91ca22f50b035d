# SPDX-License-Identifier: Apache-2.0
"""What is refused before there is a command: Ironic reads `faultstring` in every answer of 400 and above
(ironic/drivers/modules/agent_client.py, `_command`), and fails in another way where it is missing.
"""

from __future__ import annotations


class Refusal(Exception):
    """An HTTP status and what is said with it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text

    @property
    def body(self) -> dict[str, str]:
        """As IPA says it."""
        return {"faultcode": "Server" if self.status >= 500 else "Client", "faultstring": self.text}


def bad_request(text: str) -> Refusal:
    """It cannot be understood."""
    return Refusal(400, text)


def no_such_page() -> Refusal:
    """Nothing is there."""
    return Refusal(404, "404 Not Found: The requested URL was not found on the server.")


def wrong_token() -> Refusal:
    """Somebody else calls."""
    return Refusal(401, "401 Unauthorized: Token invalid.")


def busy(command_name: str) -> Refusal:
    """One at a time. Ironic knows it by the status 409."""
    return Refusal(409, f"Agent is busy: executing command {command_name}")
