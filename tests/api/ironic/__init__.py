# SPDX-License-Identifier: Apache-2.0
"""Tests of the API that Ironic's conductor calls: over HTTPS, with a fake machine behind it."""
