# SPDX-License-Identifier: Apache-2.0
"""The face towards OpenStack Ironic, as its ironic-python-agent ("IPA") has it: inspection, lookup, heartbeat.

`collectors.collect` makes the body of an inspection, `inspection` is the pure translation of our inventory into
Ironic's words, `client` posts it: `relay` asks for root, `direct` speaks HTTP in the process beside it. Names, types
and units are those of IPA 13.0.0 on Ironic 39.0.0.
"""
