# SPDX-License-Identifier: Apache-2.0
"""Every operation of the table with every fault."""
