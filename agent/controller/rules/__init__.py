# SPDX-License-Identifier: Apache-2.0
"""What is decided: pure functions and tables. No clock, no random, no store, no network."""
