# SPDX-License-Identifier: Apache-2.0
"""HTTP faces: they parse, call a flow, and render. The agent's, the firmware's, and the user's."""
