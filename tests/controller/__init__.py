# SPDX-License-Identifier: Apache-2.0
"""The embedded controller: rules by themselves, and the whole of it driven by machines that speak its protocol."""
