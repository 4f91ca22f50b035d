# SPDX-License-Identifier: Apache-2.0
# The machine that builds: what it tells its user (on stderr, since stdout carries the result), and the
# Debian packages it must have. It changes nothing on the machine but installing those packages.
# shellcheck shell=bash

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    printf '%s: error: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# need_packages COMMAND=PACKAGE...: installs the packages whose command is not there.
need_packages() {
    local pair missing=()
    for pair in "$@"; do
        PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || die "this machine has no apt-get; please install: ${missing[*]}"
    say "installing ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
    # A package of a server starts it; at run level 1 Debian's invoke-rc.d does not (deb-systemd-invoke asks it, too).
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2 ||
        die "apt-get could not install: ${missing[*]}"
}

need_root() {
    ((EUID == 0)) || die "building ${0##*/} needs root: mmdebstrap unpacks device nodes and runs inside the new system"
}

# The archive's keys, not the host's own: an Ubuntu host needs Debian's.
need_debian_keys() {
    compgen -G '/usr/share/keyrings/debian-archive-keyring.*' >/dev/null ||
        need_packages debian-archive-keyring-is-missing=debian-archive-keyring
}
