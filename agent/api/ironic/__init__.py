# SPDX-License-Identifier: Apache-2.0
"""The agent's API as OpenStack Ironic's conductor calls it: IPA's, port 9999.

    server ··(process, relay)··► desk ──► commands ──► table ──► steps ──► translate (pure) ──► operations
                                              └──► record: what outlives the process

Ironic's step engine reads the list of commands and goes on by what its last entry says. So the list is never lost
while its boot lasts, holds nothing that Ironic did not ask for, and a command that was cut short goes on under its id.
"""
