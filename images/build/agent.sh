# SPDX-License-Identifier: Apache-2.0
# The agent inside an image: its wheel, its pinned dependencies, its units. In: the source tree and agent.lock;
# out: /usr/lib/bms-agent and /usr/bin/bms-agent in a root tree. The Python of the host may be any: wheels are
# only unpacked by it, and compiled by the image's own.
# shellcheck shell=bash

agent_sources=(pyproject.toml README.md LICENSE agent)
agent_home=usr/lib/bms-agent

# build_wheel DIRECTORY: the agent's wheel. Called by the cache.
build_wheel() {
    say "building the agent's wheel"
    host_pip wheel -qq --no-deps --ignore-requires-python --wheel-dir "$1" .
}

# install_dependencies ROOT: exactly the wheels of the lock, for the Python that is in ROOT.
install_dependencies() {
    local platform platforms=()
    for platform in manylinux_2_28_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64 manylinux2010_x86_64; do
        platforms+=(--platform "$platform")
    done
    say "installing the agent's dependencies"
    host_pip install -qq --no-deps --require-hashes --requirement images/build/agent.lock --only-binary :all: \
        "${platforms[@]}" --implementation cp --python-version "$(python_version "$1")" --target "$1/$agent_home" --no-compile
    # some wheels bring debug information, and zstandard a second back end
    find "$1/$agent_home" -name '*.so' -exec strip --strip-unneeded {} +
    rm -f "$1/$agent_home"/zstandard/_cffi*
    forget_pip "$1"
}

# install_agent ROOT WHEEL UNIT...: the agent, its command and its units; those are started that say by what.
install_agent() {
    local unit
    host_pip install -qq --no-deps --no-index --ignore-requires-python --target "$1/$agent_home" --upgrade --no-compile "$2"
    forget_pip "$1"
    install -D -m 755 images/build/bms-agent "$1/usr/bin/bms-agent"
    mkdir -p "$1/etc/systemd/system/multi-user.target.wants"
    for unit in "${@:3}"; do
        install -D -m 644 "systemd/$unit" "$1/usr/lib/systemd/system/$unit"
        if grep -q '^WantedBy=' "systemd/$unit"; then
            ln -sf "/usr/lib/systemd/system/$unit" "$1/etc/systemd/system/multi-user.target.wants/$unit"
        fi
    done
}

# share_agent ROOT: the manual and the completions, from where pip puts them to where a system looks for them.
share_agent() {
    mkdir -p "$1/usr/share"
    cp -rT "$1/$agent_home/share" "$1/usr/share"
    rm -r "${1:?}/$agent_home/share"
}

# pip's own records name paths of this machine, and its scripts the Python that it ran under.
forget_pip() {
    rm -rf "${1:?}/$agent_home/bin"
    find "$1/$agent_home" \( -name RECORD -o -name INSTALLER -o -name REQUESTED -o -name direct_url.json \) -delete
}

# compile_python ROOT DIRECTORY [OPTION...]: byte code with no date in it, so that it never looks outdated.
compile_python() {
    PYTHONHASHSEED=0 chroot "$1" python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash "${@:3}" "/$2" >&2
}

# try_imports ROOT: every module of the agent but the controller's, and every library: what a prune list took too much
# of is missed here, not on a server.
try_imports() {
    chroot "$1" /usr/bin/python3 -I - "/$agent_home" <<'END'
import importlib, pkgutil, sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import agent

for module in pkgutil.iter_modules([sys.argv[1]]):
    importlib.import_module(module.name)
for module in pkgutil.walk_packages(agent.__path__, "agent."):
    if not module.name.startswith(("agent.controller", "agent.cli.controller")):
        importlib.import_module(module.name)
END
}

python_version() {
    chroot "$1" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])'
}

host_pip() {
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore "$(pip_python)" -m pip "$@"
}

# Debian and Ubuntu have python3 without pip, and put pip beside their own python3 only.
pip_python() {
    local python
    for python in "$cache_root/venv/bin/python" python3 /usr/bin/python3; do
        if "$python" -m pip --version >/dev/null 2>&1; then
            printf '%s\n' "$python"
            return
        fi
    done
    need_packages pip-is-missing=python3-pip
    printf '/usr/bin/python3\n'
}
