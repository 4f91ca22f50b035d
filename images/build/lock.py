#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pin what is installed: write agent.lock, ironic.lock or ipa.lock beside this file, as the command line says.

In: for the agent, `dependencies` of pyproject.toml; for Ironic, and for the ramdisk of its own agent (IPA), which ours
is measured against, the versions below. pip resolves them for the oldest Python, and finds the same versions for the
others. Out: every wheel's exact version and digests. It installs nothing, and takes no extra: the controller's packages
stay outside of the agent.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import NamedTemporaryFile

REQUIREMENTS = {
    "ironic": ["ironic==39.0.0"],
    "ipa": [
        "ironic-python-agent==13.0.0",
        "ironic-python-agent-builder==7.4.0",
        "diskimage-builder==3.43.0",
        "glean==1.25.1",
    ],
}
# Debian 12, Ubuntu 24.04, Debian 13
PYTHONS = {"agent": ("3.11", "3.13"), "ironic": ("3.11", "3.12", "3.13"), "ipa": ("3.13",)}
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64")
HEAD = "# SPDX-License-Identifier: Apache-2.0\n# {} and its dependencies, pinned; made by ./images/build/lock.py {}.\n"
HERE = Path(__file__).resolve().parent


def resolve(requirements: list[str], python: str, *options: str) -> list[tuple[str, str]]:
    """What pip would install for this Python: (name==version, sha256) for every wheel."""
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    argv += ["--only-binary", ":all:", "--target", "unused", "--python-version", python, *options]
    argv += [word for platform in PLATFORMS for word in ("--platform", platform)]
    with NamedTemporaryFile() as report:  # pip's warnings, too, go to stdout
        subprocess.run([*argv, "--report", report.name, *requirements], check=True, timeout=300)
        return [pin(wheel["metadata"], wheel["download_info"]) for wheel in json.load(report)["install"]]


def pin(metadata: dict[str, str], download: dict[str, dict[str, dict[str, str]]]) -> tuple[str, str]:
    return f"{metadata['name']}=={metadata['version']}", download["archive_info"]["hashes"]["sha256"]


def agent_requirements() -> list[str]:
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def main() -> None:
    subject = sys.argv[1]
    oldest, *others = PYTHONS[subject]
    found = resolve(agent_requirements() if subject == "agent" else REQUIREMENTS[subject], oldest)
    digests = {name: {sha256} for name, sha256 in found}
    for python in others:
        for name, sha256 in resolve(list(digests), python, "--no-deps"):
            digests[name].add(sha256)
    pins = [
        " \\\n    ".join([name, *(f"--hash=sha256:{digest}" for digest in sorted(digests[name]))])
        for name in sorted(digests, key=str.lower)
    ]
    head = HEAD.format(subject.capitalize(), subject)
    (HERE / f"{subject}.lock").write_text(head + "\n".join(pins) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
