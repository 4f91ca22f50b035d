# SPDX-License-Identifier: Apache-2.0
"""Tests of the diagnosis: each rule firing and not firing, the looks, the whole of it."""
