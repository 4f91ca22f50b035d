# SPDX-License-Identifier: Apache-2.0
"""What devices say of themselves, byte by byte."""
