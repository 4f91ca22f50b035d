# SPDX-License-Identifier: Apache-2.0
"""Tests of the faces that are called."""
