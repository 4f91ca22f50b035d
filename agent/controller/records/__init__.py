# SPDX-License-Identifier: Apache-2.0
"""What the controller keeps: frozen values, one row of the store each."""
