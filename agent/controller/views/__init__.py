# SPDX-License-Identifier: Apache-2.0
"""Records as users see them. No secret is a field of a view."""
