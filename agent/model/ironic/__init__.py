# SPDX-License-Identifier: Apache-2.0
"""OpenStack Ironic's words: what its kernel command line says, and what it and its agent tell each other.

Checked against ironic 39.0.0 and ironic-python-agent ("IPA") 13.0.0, which this agent takes the place of.
"""
