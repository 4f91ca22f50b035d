# SPDX-License-Identifier: Apache-2.0
"""rtnetlink in bytes: messages for links, addresses, routes and rules, made and read (rtnetlink(7)).

`message` has what all share, `link` and `route` the objects, `channel` the socket; `tables` puts together what was
read. Ours, since a pass over a thousand links must cost little: a general library takes 0.3 ms to make one message, and
these take a few microseconds. What was read is kept as long as the kernel says the same again, byte for byte.
"""
