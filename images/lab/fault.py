# SPDX-License-Identifier: Apache-2.0
"""What can go wrong in the lab, as the one exception its callers catch."""


class LabFault(Exception):
    """Something the lab needed did not happen: the text says what, while doing what."""
