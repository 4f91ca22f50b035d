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
HERE = Path(__file__).resolve().parent


def resolve(requirements: list[str], python: str) -> list[tuple[str, str]]:
    """What pip would install for this Python: (name==version, sha256) for every wheel."""
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    argv += ["--only-binary", ":all:", "--target", "unused", "--python-version", python]
    argv += [word for platform in PLATFORMS for word in ("--platform", platform)]
    done = subprocess.run([*argv, *requirements], stdout=subprocess.PIPE, check=True, timeout=300)
    return [
        (f"{wheel['metadata']['name']}=={wheel['metadata']['version']}", wheel["download_info"]["archive_info"]["hashes"]["sha256"])
        for wheel in json.loads(done.stdout)["install"]
    ]


def main() -> None:
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    digests: dict[str, set[str]] = {}
    for python in PYTHONS:
        for pin, sha256 in resolve(project["dependencies"], python):
            digests.setdefault(pin, set()).add(sha256)
    lines = ["# SPDX-License-Identifier: Apache-2.0", "# The agent's dependencies, pinned; made by ./images/build/lock.py."]
    for pin in sorted(digests, key=str.lower):
        lines.append(" \\\n    ".join([pin, *(f"--hash=sha256:{digest}" for digest in sorted(digests[pin]))]))
    (HERE / "agent.lock").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
