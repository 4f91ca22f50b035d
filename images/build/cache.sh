# SPDX-License-Identifier: Apache-2.0
# The cache of what was built: one directory for each kind and content key, filled once and then read only.
# A key is made of everything that the bytes depend on, so an entry is never out of date, only unused.
# shellcheck shell=bash

cache_root="${BMS_AGENT_CACHE:-$HOME/.cache/bms-agent}"
entries_kept=4

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

drop_oldest() {
    local entry
    find "$1" -mindepth 1 -maxdepth 1 -type d -not -name '.*' -printf '%T@ %p\n' | sort -rn | cut -d ' ' -f 2- |
        tail -n "+$((entries_kept + 1))" | while IFS= read -r entry; do
        rm -rf -- "$entry"
    done
}
