# SPDX-License-Identifier: Apache-2.0
"""Floor 5, the face towards the controller: the agent calls, over HTTP; the wire is `agent.model.protocol`."""
