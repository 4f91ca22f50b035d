# SPDX-License-Identifier: Apache-2.0
"""What agents write down and later agents read: a file of every shape that a format ever had, beside these modules.

`python -m tests.formats` writes the file of a shape that is new. Those that are there are never changed: some agent has
left such a file on some machine.
"""
