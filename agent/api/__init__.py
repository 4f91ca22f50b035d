# SPDX-License-Identifier: Apache-2.0
"""Floor 5, faces that are called: others ask, we answer."""
