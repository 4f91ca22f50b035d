# SPDX-License-Identifier: Apache-2.0
"""A server's disk into an image that other servers are made of. The disk itself is only read.

    disk ──────────────────────────────────────► view ─► chunked.pack ─► PUT, or a file
      └─► overlay ─► mounts ─► forget ─► unmount ─┘

`overlay` lays a copy-on-write device over the disk whose changes are in memory; `mounts` mounts the system's own
filesystems from it; `forget` does what `agent.model.generalise` lists; `view` gives what is allocated, and zeroes for
all that is free.

The agent mounts no untrusted filesystem (DESIGN, section 5). Here it is the tenant's own disk, in the tenant's own
machine, in a ramdisk that ends with the next boot; anywhere else it is refused.
"""
