# SPDX-License-Identifier: Apache-2.0
"""The lab's own parts, without booting anything: command lines, BMC, what is on a disk, cleaning up."""
