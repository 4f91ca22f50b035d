# SPDX-License-Identifier: Apache-2.0
"""The looks: at the agent itself, around it on the network, at what boots. Each raises `AgentError`, or knows."""
