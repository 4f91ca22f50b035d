# SPDX-License-Identifier: Apache-2.0
"""Tests of the doors, real and fake."""
