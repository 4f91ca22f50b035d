# SPDX-License-Identifier: Apache-2.0
"""Write a file of each shape that has none. They are to be committed with the change that made the shape."""

from __future__ import annotations

from tests.formats.kept import PLACE, missing


def main() -> None:
    """All of them."""
    for one in missing():
        path = PLACE / one.name / f"{len(one.files) + 1:04}-{one.shape}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.make())


if __name__ == "__main__":
    main()
