# SPDX-License-Identifier: Apache-2.0
"""`tests/bench/run`: measure, print a table and what became of each bar. With --json, all of it for a program."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from tests.bench import cli, firewall, fleet, inventory, ramdisk, vnics
from tests.bench.bars import MB, Bar, against_limits, against_peers, of_each, table, verdicts
from tests.bench.capture import captures
from tests.bench.disk import disk
from tests.bench.files import CACHE, Image, image, say
from tests.bench.image import Bench, allocated_line
from tests.bench.links import switch
from tests.bench.measure import first_in_line
from tests.bench.nginx import origin
from tests.bench.sparse import large
from tests.bench.writers import LIMITS, OUR_FORMS, Place

WHAT = ("image", "capture", "sparse", "fleet", "firewall", "vnics", "ramdisk", "cli", "inventory")
ROUNDS = 5
DISK_BYTES = 10 * 1024**3


def main() -> None:
    """`image` (what is left out means this), `capture`, `sparse`, `fleet`, `firewall`, `vnics`, `ramdisk` …"""
    words = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    words.add_argument("what", nargs="?", default="image", choices=WHAT)
    words.add_argument("--rounds", type=int, default=ROUNDS, help="0: without the other writers")
    words.add_argument("--quick", action="store_true", help="one round")
    words.add_argument("--image", default="", metavar="FOLDER", help="its disk.raw, in place of a Debian of 8 GiB")
    words.add_argument("--only", default="", help="our writers whose name contains this")
    words.add_argument("--json", action="store_true")
    given = words.parse_args()
    rounds = 1 if given.quick else given.rounds
    with first_in_line():
        measure(given, rounds)


def measure(given: argparse.Namespace, rounds: int) -> None:
    """What was asked for."""
    match given.what:
        case "image":
            report(*of_an_image(image(given.image), rounds, given.only), as_json=given.json)
        case "capture":
            costs, judged = captures(image(given.image), rounds)
            sys.stdout.write("\n".join([*table(costs), "", *verdicts(judged)]) + "\n")
        case "sparse":
            runs, bars = large(image(given.image), given.only)
            report(runs, bars, as_json=given.json)
        case "fleet":
            fleet.main(image(given.image), is_quick=given.quick, as_json=given.json)
        case "firewall":
            firewall.main(rounds, as_json=given.json)
        case "cli":
            cli.main(rounds, as_json=given.json)
        case "vnics":
            vnics.main(rounds, as_json=given.json)
        case "inventory":
            inventory.main(rounds, as_json=given.json)
        case "ramdisk":
            ramdisk.main(rounds, as_json=given.json)


def of_an_image(made: Image, rounds: int, only: str) -> tuple[Bench, list[Bar]]:
    """Everything about writing one image."""
    say(described(made))
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=CACHE / "bench")))
        target = stack.enter_context(disk(work, DISK_BYTES))
        server = stack.enter_context(origin(made.folder, work / "nginx"))
        bench = Bench(Place(made, server.url, target.node, work), target, server, only)
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            bench.round(number)
        bars = against_peers(bench.pairs) + against_limits(bench.runs, LIMITS)
        bars += of_each(bench.runs, tuple(OUR_FORMS), made.allocated_bytes)
        if only in "chunked":
            bars += bench.redeploy(max(rounds, 1)) + bench.resume()
            bench.verify()
            net = stack.enter_context(switch())
            far, node = net.machine(1000), net.machine()
            remote = stack.enter_context(
                origin(made.folder, work / "far", address=far.address, port=80, inside=far.inside)
            )
            distant = Bench(Place(made, remote.url, target.node, work), target, remote)
            bars += distant.over_a_gigabit(node, max(rounds, 1))
            bench.runs.update(distant.runs)
    return bench, bars


def described(made: Image) -> str:
    """The image and its forms."""
    sizes = [(name, made.folder / name) for name in ("disk.raw.zst", "disk.raw.gz", "disk.qcow2", "disk-zlib.qcow2")]
    for name, _ in sizes:
        made.form(name)
    sizes.append(("chunked", made.chunked))
    return f"{made.size_bytes / MB:.0f} MB, allocated {made.allocated_bytes / MB:.0f} MB; {allocated_line(sizes)}"


def report(bench: Bench, bars: Sequence[Bar], *, as_json: bool) -> None:
    """For people, or for programs. Ends with status 1 if a bar was missed."""
    if as_json:
        runs = {name: [asdict(one) for one in costs] for name, costs in bench.runs.items()}
        judged = [asdict(one) | {"is_met": one.is_met} for one in bars]
        sys.stdout.write(json.dumps({"runs": runs, "hangs": bench.hangs, "bars": judged}, indent=1) + "\n")
    else:
        hangs = [f"{name} hung {count} times, and was begun anew" for name, count in bench.hangs.items()]
        sys.stdout.write("\n".join([*table(bench.runs), *hangs, "", *verdicts(bars)]) + "\n")
    sys.exit(0 if all(one.is_met for one in bars) else 1)


if __name__ == "__main__":
    main()
