# SPDX-License-Identifier: Apache-2.0
"""Floor 0 of the programs: what `bms-agent` and `bmsctl` have in common as commands, whatever they are about. The three
streams that every process has, and the manual that is made of a tree of commands. It knows nothing of either.
"""
