# SPDX-License-Identifier: Apache-2.0
"""Images are fetched, verified, unpacked and written by a process that may do nothing else.

    root: plans, judges, seals ──► /run/bms-agent-writer/socket ──► bms-agent-writer: HTTP, TLS, decoders ──► the disk
                                      order, descriptors ─►  ◄─ manifest, head, progress, result

Without a disk it also fetches what steps name beside the image, and an image's first bytes where they name no format
(`fetched`, `agent.apply.fetch`): bytes that root bounds, and judges as it judges those who ordered them.

`relay` is root's side, `judge` what root finds out for itself, `process` the other side: no root, no capability, no
device, no file, and a process of its own for each image. The disk it gets as an open file, when root has judged the
image's first bytes, and made the disk unable to boot.

**What a process that was taken can do**, by an image or a server: write what it likes to the disk that it was given,
as long as it has it; also in front of the image, and to a partition that was to be kept. What it cannot:

- touch another disk, file or device, or anything of root's; keep the disk: where anything goes wrong it is killed, if
  it does not end by itself, and before the disk is sealed it is opened exclusively once more, which fails while anybody
  else has it so;
- let the disk boot from a head of its choice: root writes the first MiB last, as it judged it before the first write,
  after all that the image's signature and digest say of it. After any failure root zeroes it again;
- pass off another image that is *chunked*: root has judged its manifest by digest and signature, and reads what holds
  the first MiB back from the medium in every case, all of the image with `verify`;
- pass off another *raw* image with `verify`, since root then reads the disk back, and has the digest of the order.

What it can pass off: wrong bytes behind the first MiB of an image that is not read back by root (any but chunked and
raw; these without `verify`), and, of one that is not chunked, the first MiB, too; all of an image whose digest is named
by another file, or by a registry, which it reads itself; and whatever it fetches for root beside the image.
"""
