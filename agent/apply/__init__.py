# SPDX-License-Identifier: Apache-2.0
"""Floor 2, doing: one function a step, `(host, step, advance) → result`. Obeys or fails; decides nothing."""
