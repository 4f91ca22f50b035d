# SPDX-License-Identifier: Apache-2.0
"""Floor 0, values: frozen models that every other floor speaks. One module per noun, no I/O anywhere."""
