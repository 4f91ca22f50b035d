# SPDX-License-Identifier: Apache-2.0
"""What both programs have in common as commands."""
