# SPDX-License-Identifier: Apache-2.0
"""bmsctl, against a real controller without a socket."""
