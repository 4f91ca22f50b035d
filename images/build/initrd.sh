# SPDX-License-Identifier: Apache-2.0
# An initrd's archives: of the same files the same bytes, whenever and wherever they are made; and not above a size.
# shellcheck shell=bash

# archive ROOT PATH...: these files as a compressed cpio archive: sorted, of one date, with the inodes renumbered.
archive() (
    cd "$1" || exit
    find "${@:2}" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    find "${@:2}" -print0 | LC_ALL=C sort -z |
        cpio --quiet --null --create --format=newc --reproducible | zstd --quiet -19 -T0
)

# empty_archive: an archive of nothing, not compressed, to be put first. Ironic's conductor unpacks a ramdisk that begins
# as zstd and serves it four times as large ([conductor]disable_zstandard_decompression); the kernel goes from archive
# to archive, however each is compressed (Documentation/driver-api/early-userspace/buffer-format.rst).
empty_archive() {
    cpio --quiet --create --format=newc --reproducible </dev/null
}

# refuse_oversize FILE LIMIT_BYTES
refuse_oversize() {
    local size_bytes
    size_bytes=$(stat -c %s "$1")
    ((size_bytes <= $2)) ||
        die "${1##*/} has $size_bytes bytes, the limit is $2: see images/build/ramdisk/{packages,modules,prune}"
    say "${1##*/} has $size_bytes bytes"
}
