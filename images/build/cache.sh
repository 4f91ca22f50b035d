# SPDX-License-Identifier: Apache-2.0
# The cache of what was built: one directory for each kind and content key, filled once and then read only.
# A key is made of everything that the bytes depend on, so an entry is never out of date, only unused.
# shellcheck shell=bash

cache_root="${BMS_AGENT_CACHE:-$HOME/.cache/bms-agent}"
entries_kept=4
unused_min=120

# content_key WORD... -- PATH...: hashes the words and the files (names and contents), relative to here.
content_key() {
    local words=()
    while [[ $1 != -- ]]; do
        words+=("$1")
        shift
    done
    shift
    {
        printf '%s\n' "${words[@]}"
        find "$@" -type f -not -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum --
    } | sha256sum | cut -c 1-16
}

# cached KIND KEY COMMAND...: prints the entry's directory, after COMMAND DIRECTORY has filled it if it was not there.
cached() (
    shelf="$cache_root/$1" entry="$cache_root/$1/$2"
    shift 2
    mkdir -p "$shelf"
    exec {lock}>"$shelf/.lock"
    flock --nonblock "$lock" || { say "waiting for another build of ${shelf##*/}" && flock "$lock"; }
    if [[ ! -d $entry ]]; then
        work=$(mktemp -d "$shelf/.building.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        chmod 755 "$work"
        "$1" "$work" "${@:2}" >&2
        mv "$work" "$entry"
    fi
    touch "$entry"
    drop_oldest "$shelf"
    printf '%s\n' "$entry"
)

# What nobody has asked for lately goes, but for the newest few: each is hundreds of megabytes.
drop_oldest() {
    local entry
    find "$1" -mindepth 1 -maxdepth 1 -type d -not -name '.*' -printf '%T@ %p\n' | sort -rn | cut -d ' ' -f 2- |
        tail -n "+$((entries_kept + 1))" | while IFS= read -r entry; do
        find "$entry" -maxdepth 0 -mmin "+$unused_min" -exec rm -rf {} +
    done
}

# check_reproducible COMMAND... -- FILE...: runs COMMAND twice, each time with an empty cache, and compares the files.
check_reproducible() (
    command=()
    while [[ $1 != -- ]]; do
        command+=("$1")
        shift
    done
    shift
    mkdir -p "$cache_root"
    scratch=$(mktemp -d "$cache_root/reproducible.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    first=$(BMS_AGENT_CACHE=$scratch/first "${command[@]}")
    second=$(BMS_AGENT_CACHE=$scratch/second "${command[@]}")
    for file; do
        cmp "$first/$file" "$second/$file" || die "two builds differ in $file"
    done
    say "two builds from nothing are the same in every byte: $*"
)
