# SPDX-License-Identifier: Apache-2.0
"""Real Ironic, from its own package, as the judge: of the lab by a fake agent, and of our ramdisk on a machine."""
