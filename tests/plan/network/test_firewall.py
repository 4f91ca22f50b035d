# SPDX-License-Identifier: Apache-2.0
"""What becomes of a firewall and of EIPs: golden steps."""

from __future__ import annotations

from ipaddress import IPv4Address

from agent.model.network import Direction, Eip, EipMode, Firewall, SecurityGroup, SecurityRule, eips_digest
from agent.model.network.step import ChangeMembers, ReplaceFirewall, SetEips
from agent.plan.network.firewall import eip_steps, firewall_steps

RULE = SecurityRule(direction=Direction.IN, remote_group="web")
EIP = Eip(address=IPv4Address("203.0.113.1"), private=IPv4Address("10.0.0.5"), link="eth0", mode=EipMode.HOST)


def firewall(*members: str, rules: tuple[SecurityRule, ...] = (RULE,)) -> Firewall:
    """One group."""
    group = SecurityGroup(id="web", rules=rules)
    return Firewall.model_validate({"groups": (group,), "links": {"eth0": ("web",)}, "members": {"web": members}})


ONE, TWO = firewall("10.0.0.1"), firewall("10.0.0.1", "10.0.0.2")


def test_nothing_to_do() -> None:
    """What is not specified stays, and what is loaded already does, too; whatever was desired before."""
    assert firewall_steps("abc", ONE, None) == []
    for last in (None, ONE, TWO):
        assert firewall_steps(ONE.digest, last, ONE) == []


def test_a_digest_is_of_the_content() -> None:
    """Known once, it is that of this content alone: a copy with other members has another, an equal one the same."""
    one = firewall("10.0.0.1")
    assert one.digest == one.digest == ONE.digest == Firewall.model_validate_json(one.model_dump_json()).digest
    assert one == firewall("10.0.0.1")
    other = one.model_copy(update={"members": TWO.members})

    assert (other.digest, other) == (TWO.digest, TWO)
    assert "digested" not in other.model_dump()


def test_members_alone() -> None:
    """Members who came and went are changed by themselves, where what is loaded is what was desired before."""
    other = firewall("10.0.0.2", "fd00::1")

    assert firewall_steps(TWO.digest, TWO, ONE) == [
        ChangeMembers(remove={"web": (IPv4Address("10.0.0.2"),)}, digest=ONE.digest)
    ]
    assert firewall_steps(ONE.digest, ONE, other) == [
        ChangeMembers(
            add={"web": other.members["web"]}, remove={"web": (IPv4Address("10.0.0.1"),)}, digest=other.digest
        )
    ]


def test_all_of_it() -> None:
    """All else is a whole replacement: a firewall that is unknown, changed by others, or other in its rules."""
    rules = firewall("10.0.0.1", rules=())
    for loaded, last, desired in (
        (None, None, ONE),
        (None, ONE, TWO),
        ("changed", ONE, TWO),
        (ONE.digest, None, TWO),
        (ONE.digest, ONE, rules),
        (ONE.digest, ONE, ONE.model_copy(update={"links": {}})),
        (ONE.digest, ONE, ONE.model_copy(update={"members": ONE.members | {"db": ()}})),
    ):
        assert firewall_steps(loaded, last, desired) == [ReplaceFirewall(firewall=desired)]


def test_eips() -> None:
    """They are set when they differ; none that never were need no table."""
    assert eip_steps(None, None) == eip_steps(None, ()) == eip_steps(eips_digest((EIP,)), (EIP,)) == []
    assert eip_steps(None, (EIP,)) == [SetEips(eips=(EIP,))]
    assert eip_steps(eips_digest((EIP,)), ()) == [SetEips(eips=())]
    assert eip_steps("changed", None) == []
