# SPDX-License-Identifier: Apache-2.0
"""What was measured, against what was promised: medians, ratios, verdicts. Pure."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NoReturn

from tests.bench.measure import Cost

MB = 1000**2
Runs = Mapping[str, Sequence[Cost]]
Pairs = Mapping[tuple[str, str], Sequence[tuple[Cost, Cost]]]


@dataclass(frozen=True)
class Promise:
    """A writer of ours against another: at most this ratio of wall time, and of CPU where that is promised, too."""

    ours: str
    peer: str
    wall: float
    cpu: float | None = None


PROMISES = (
    Promise("chunked", "ironic-python-agent, raw", 0.2, 0.2),
    Promise("chunked", "qemu-img, qcow2 zlib", 0.5),
    Promise("chunked", "qemu-img, qcow2", 0.9),
    Promise("chunked", "curl | zstd | dd", 0.33),
    Promise("qcow2", "qemu-img, qcow2", 0.9),
    Promise("qcow2", "ironic-python-agent, raw", 0.4),
    Promise("raw.zst", "curl | zstd | dd", 0.5),
    Promise("raw.gz", "curl | gzip | dd", 0.5),
)
OF_LIMIT = 0.85
RSS_BYTES = 80 * MB
WRITTEN = 1.05


@dataclass(frozen=True)
class Bar:
    """`value` may be at most `limit`. `spread` is for whoever doubts the value."""

    what: str
    value: float
    limit: float
    spread: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the promise is kept."""
        return self.value <= self.limit


def against_peers(pairs: Pairs) -> list[Bar]:
    """Ratios of medians; the spread is of the ratios pair by pair."""
    bars = []
    for one in PROMISES:
        both = pairs.get((one.ours, one.peer), ())
        if not both:
            continue
        bars += wall_bars(f"{one.ours} / {one.peer}", both, started=one.wall)
        cpu = [(a.cpu_s, b.cpu_s) for a, b in both]
        bars.append(ratio_bar(f"{one.ours} / {one.peer}: CPU", cpu, one.cpu or float("inf")))
    return bars


def wall_bars(
    what: str, both: Sequence[tuple[Cost, Cost]], *, started: float = float("inf"), runs: float = float("inf")
) -> list[Bar]:
    """Ours against another, with what is promised: with the start of our process, or by an agent that runs."""
    return [
        ratio_bar(f"{what}: wall", [(ours.wall_s, other.wall_s) for ours, other in both], started),
        ratio_bar(f"{what}: wall, by an agent that runs", [(ours.steps_s, other.wall_s) for ours, other in both], runs),
    ]


def ratio_bar(what: str, both: Sequence[tuple[float, float]], limit: float) -> Bar:
    """Median by median."""
    ratios = [ours / theirs for ours, theirs in both]
    value = median(ours for ours, _ in both) / median(theirs for _, theirs in both)
    return Bar(what, value, limit, f"{min(ratios):.3f}-{max(ratios):.3f} in {len(ratios)} pairs")


def against_limits(runs: Runs, limits: Mapping[str, Sequence[str]]) -> list[Bar]:
    """Each writer against the slowest of its stages alone; both without the start of their processes."""
    bars = []
    for ours, stages in limits.items():
        alone = {name: median(one.wall_s for one in runs[name]) for name in stages if runs.get(name)}
        if not alone or not runs.get(ours):
            continue
        slowest = max(alone, key=lambda name: alone[name])
        steps_s = median(one.steps_s for one in runs[ours])
        bars.append(Bar(f"{ours} / {slowest}: wall, by an agent that runs", steps_s / alone[slowest], 1 / OF_LIMIT))
    return bars


def of_each(runs: Runs, ours: Sequence[str], allocated_bytes: int) -> list[Bar]:
    """Memory and bytes written, at their worst."""
    bars = []
    for name in ours:
        if not runs.get(name):
            continue
        bars.append(Bar(f"{name}: peak RSS, MB", max(one.rss_bytes for one in runs[name]) / MB, RSS_BYTES / MB))
        written = max(one.written_bytes for one in runs[name]) / allocated_bytes
        bars.append(Bar(f"{name}: written / allocated", written, WRITTEN))
    return bars


def table(runs: Runs) -> list[str]:
    """A line for each writer: medians, and the worst memory."""
    lines = [f"{'':28}{'runs':>5}{'wall s':>9}{'CPU s':>8}{'RSS MB':>8}{'written MB':>12}{'fetched MB':>12}"]
    for name, costs in runs.items():
        if costs:
            middle = [median(getattr(one, field) for one in costs) for field in ("wall_s", "cpu_s")]
            moved = [median(getattr(one, field) for one in costs) / MB for field in ("written_bytes", "fetched_bytes")]
            rss = max(one.rss_bytes for one in costs) / MB
            numbers = f"{middle[0]:9.2f}{middle[1]:8.2f}{rss:8.0f}{moved[0]:12.0f}{moved[1]:12.0f}"
            lines.append(f"{name:28}{len(costs):5}{numbers}")
    return lines


def verdicts(bars: Sequence[Bar]) -> list[str]:
    """A line for each bar."""
    lines = []
    for one in bars:
        if one.limit == float("inf"):
            word, limit = "    ", ""
        else:
            word, limit = ("ok  " if one.is_met else "FAIL"), f"≤ {one.limit:.3g}"
        lines.append(f"{word} {one.what:58}{one.value:9.3f}  {limit:9}{one.spread}")
    return lines


def end(bars: Sequence[Bar], *, as_json: bool) -> NoReturn:
    """Print them, and end with status 1 if one was missed."""
    if as_json:
        told = [{"what": one.what, "value": one.value, "limit": one.limit, "is_met": one.is_met} for one in bars]
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
    else:
        sys.stdout.write("\n".join(verdicts(bars)) + "\n")
    sys.exit(0 if all(one.is_met for one in bars) else 1)
