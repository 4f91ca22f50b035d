# SPDX-License-Identifier: Apache-2.0
"""ironic-python-agent writes a raw image: its own code, as it is, on our disk. Runs in that project's environment.

python ipa.py NODE URL SHA256
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """Its streaming writer (`stream_raw_images`), with its settings at their defaults."""
    node, url, sha256 = sys.argv[1:]
    importlib.import_module("ironic_python_agent.config")
    importlib.import_module("oslo_config.cfg").CONF([], project="ironic-python-agent", default_config_files=[])
    extension = importlib.import_module("ironic_python_agent.extensions.standby").StandbyExtension(None)
    extension.partition_uuids = {}
    image = {"id": "image", "urls": [url], "os_hash_algo": "sha256", "os_hash_value": sha256, "disk_format": "raw"}
    extension._stream_raw_image_onto_device(image, node)


if __name__ == "__main__":
    main()
