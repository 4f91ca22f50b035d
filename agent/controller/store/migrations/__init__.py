# SPDX-License-Identifier: Apache-2.0
"""Migrations, oldest first, run at every start."""
