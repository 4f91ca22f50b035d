# SPDX-License-Identifier: Apache-2.0
"""Boot entries that we made for disks as they were before: a disk that is written anew leaves one each time, and
firmware has little room. Only our own go, by their mark and their form; nobody else's, whatever has become of its disk.
"""

from __future__ import annotations

from agent.model.efi import GPT_KIND, BootEntry, FirmwareBoot, leads_into
from agent.model.plan import ForgetBoot, Plan, SelectBoot

MARK = " (bms-agent)"
"""At the end of every label that we give. Nothing else of an entry could bear it: its data are the loader's options."""
LONGEST_LABEL = 100


def marked(label: str, suffix: str = "") -> str:
    """As we give it; what is too long is cut in front of the suffix."""
    return label[: LONGEST_LABEL - len(suffix + MARK)] + suffix + MARK


def with_old_ones_forgotten(plan: Plan, firmware: FirmwareBoot, known: frozenset[str] | None) -> Plan:
    """The plan, and in the end, if it makes an entry, one step more: those go that lead to a partition which is none of
    the `known` ones. `None` is that nobody can tell: then all stay.
    """
    selected = [step for step in plan.steps if isinstance(step, SelectBoot)]
    if known is None or all(step.entry in firmware.entries for step in selected):
        return plan
    there = known | {guid for step in selected if (guid := guid_of(step.entry))}
    gone = tuple(one for one in firmware.entries if is_ours(one) and (guid_of(one) or "") not in there)
    if not gone:
        return plan
    numbers = {one.number for one in gone}
    before = selected[-1].order
    order = tuple(number for number in before if number not in numbers)
    return plan.model_copy(update={"steps": (*plan.steps, ForgetBoot(entries=gone, before=before, order=order))})


def is_ours(entry: BootEntry) -> bool:
    """Marked, and of the form in which we make them: a partition of a GPT, and a file on it."""
    return entry.option.label.endswith(MARK) and guid_of(entry) is not None


def guid_of(entry: BootEntry) -> str | None:
    """Of the partition that an entry leads into, if it is one of a GPT."""
    partition = leads_into(entry.option)
    return partition.guid if partition is not None and partition.table == GPT_KIND else None
