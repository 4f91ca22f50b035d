# SPDX-License-Identifier: Apache-2.0
# The Python environment of the repository's own commands (images/demo, tests/run): a venv in the cache with the
# project installed in place. A changed pyproject.toml, another Python or another copy of the repository fills it anew.
# shellcheck shell=bash

venv="${BMS_AGENT_CACHE:-$HOME/.cache/bms-agent}/venv"

# need_python: a Python that is new enough and can make environments.
need_python() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-with-venv=python3-venv
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "Python 3.11 or newer is needed: Debian 12, Ubuntu 24.04 or later have it"
}

# need_venv: makes or renews the environment, one process at a time.
need_venv() {
    local lock key
    need_python
    mkdir -p "$(dirname "$venv")"
    exec {lock}>"$venv.lock"
    flock "$lock"
    key=$({ python3 --version && pwd && cat pyproject.toml; } | sha256sum)
    if [[ $(cat "$venv/installed-for" 2>/dev/null) != "$key" ]]; then
        say "installing the project and its libraries into $venv"
        [[ $("$venv/bin/python" --version 2>&1) == "$(python3 --version)" ]] || rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check --editable '.[controller,dev]' >&2
        echo "$key" >"$venv/installed-for"
    fi
    exec {lock}>&-
}

# need_lab_packages: what the virtual machines stand on, and what Ironic makes images and config drives with. Firmware
# files are no commands: their absence names the package.
need_lab_packages() {
    # shellcheck disable=SC2046  # each prints one word or none
    need_packages qemu-system-x86_64=qemu-system-x86 dnsmasq=dnsmasq-base ip=iproute2 ssh=openssh-client \
        qemu-img=qemu-utils xorrisofs=xorriso \
        $(absent /usr/share/OVMF ovmf) $(absent /usr/lib/ipxe/snponly.efi ipxe) $(absent /usr/lib/ipxe/qemu ipxe-qemu)
}

# need_test_packages: independent judges of what we write, the servers that images come from, what imports are
# converted with, and the tools of the tests on the real kernel.
need_test_packages() {
    # shellcheck disable=SC2046  # as above
    need_packages sfdisk=fdisk sgdisk=gdisk mcopy=mtools mkfs.vfat=dosfstools mkfs.ext4=e2fsprogs losetup=mount \
        cpio=cpio zstd=zstd systemd-analyze=systemd mkfs.xfs=xfsprogs mkfs.btrfs=btrfs-progs dmsetup=dmsetup \
        nginx=nginx-light docker-registry=docker-registry qemu-img=qemu-utils bwrap=bubblewrap \
        nft=nftables iperf3=iperf3 ping=iputils-ping xorriso=xorriso swtpm=swtpm $(absent /usr/lib/postgresql postgresql) \
        grub-mkimage=grub-common $(absent /usr/lib/grub/x86_64-efi grub-efi-amd64-bin)
}

absent() { [[ -e $1 ]] || printf '%s=%s\n' "$1" "$2"; }
