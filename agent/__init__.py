# SPDX-License-Identifier: Apache-2.0
"""bms-agent."""

__version__ = "0.1.0"
