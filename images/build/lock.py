#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pin what the agent depends on: write agent.lock beside this file.

In: `dependencies` of pyproject.toml, resolved by pip for the Python of each Debian release that is built. Out: every
wheel's exact version and digests. It installs nothing, and takes no extra: the controller's packages stay outside.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

PYTHONS = ("3.11", "3.13")  # Debian 12, Debian 13
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64")
HEAD = "# SPDX-License-Identifier: Apache-2.0\n# The agent's dependencies, pinned; made by ./images/build/lock.py.\n"
HERE = Path(__file__).resolve().parent


def resolve(requirements: list[str], python: str) -> list[tuple[str, str]]:
    """What pip would install for this Python: (name==version, sha256) for every wheel."""
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    argv += ["--only-binary", ":all:", "--target", "unused", "--python-version", python]
    argv += [word for platform in PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run([*argv, *requirements], stdout=subprocess.PIPE, check=True, timeout=300)
    return [pin(wheel["metadata"], wheel["download_info"]) for wheel in json.loads(done.stdout)["install"]]


def pin(metadata: dict[str, str], download: dict[str, dict[str, dict[str, str]]]) -> tuple[str, str]:
    return f"{metadata['name']}=={metadata['version']}", download["archive_info"]["hashes"]["sha256"]


def main() -> None:
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    digests: dict[str, set[str]] = {}
    for python in PYTHONS:
        for name, sha256 in resolve(project["dependencies"], python):
            digests.setdefault(name, set()).add(sha256)
    pins = [
        " \\\n    ".join([name, *(f"--hash=sha256:{digest}" for digest in sorted(digests[name]))])
        for name in sorted(digests, key=str.lower)
    ]
    (HERE / "agent.lock").write_text(HEAD + "\n".join(pins) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
