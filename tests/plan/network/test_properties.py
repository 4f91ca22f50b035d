# SPDX-License-Identifier: Apache-2.0
"""What must hold for every change from one network to another, on the fake kernel."""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, Phase, example, given, reject, settings
from hypothesis import strategies as st

from agent.cli.network import configured
from agent.errors import PreconditionError
from agent.host.fake import FakeHost, Machine, Tree
from agent.host.fake.machine import Record
from agent.model.network import NetworkConfig, Rule
from agent.model.network.plan import NetworkPlan
from agent.networking import Networking
from tests.hardware import link
from tests.plan.network.worlds import NICS, networks

PHASES = [Phase.explicit, Phase.reuse, Phase.generate]  # shrinking such a chain takes minutes
SLOW = [HealthCheck.filter_too_much, HealthCheck.too_slow]
ENOUGH = settings(max_examples=80, deadline=None, suppress_health_check=SLOW, phases=PHASES)


def machine() -> Machine:
    """Four NICs, all down."""
    links = tuple(link(name, mac=mac, index=place) for place, (name, mac) in enumerate(NICS.items(), start=2))
    return Machine.of(Tree(), Record(origin="synthetic: four NICs", links=links))


def brought_about(made: Machine, config: NetworkConfig, before: NetworkConfig) -> Networking:
    """It holds from now on."""
    networking = Networking(FakeHost.of(made), persist=False)
    plan = planned(networking, config, before)
    networking.apply_network(without_proof(plan), lambda _: None)
    return networking


def planned(networking: Networking, config: NetworkConfig, before: NetworkConfig) -> NetworkPlan:
    """The plan; changes that are refused (an MTU that its carrier has not) are not what this is about."""
    try:
        return networking.plan_network(networking.network_state(config), config, before)
    except PreconditionError:
        reject()


def without_proof(plan: NetworkPlan) -> NetworkPlan:
    """Its steps but for the self-tests: nobody answers here."""
    return plan.model_copy(update={"steps": tuple(step for step in plan.steps if step.kind != "prove_network")})


def seen(made: Machine) -> tuple[object, ...]:
    """All that there is, in an order of its own. Indexes are the kernel's."""
    links = sorted((one.model_copy(update={"index": 0}) for one in made.links.values()), key=lambda one: one.name)
    routes = sorted(made.routes.values(), key=lambda route: repr(route.key))
    return tuple(links), tuple(routes), frozenset(made.rules)


@given(st.lists(networks(), min_size=1, max_size=3))
@ENOUGH
def test_nothing_is_left_to_do(chain: list[NetworkConfig]) -> None:
    """plan(apply(plan)) is empty, from whatever network to whatever other."""
    made, before = machine(), NetworkConfig()
    for config in chain:
        networking = brought_about(made, config, before)
        again = networking.plan_network(networking.network_state(config), config, config)
        assert again.steps == ()
        before = config


@given(networks(), networks(), st.integers(0, 60))
@example(
    NetworkConfig(rules=(Rule(priority=2, table=100), Rule(priority=3, table=100))), NetworkConfig(rules=()), 1
)  # without a route, a rule alone is news
@ENOUGH
def test_revert_is_the_identity(first: NetworkConfig, second: NetworkConfig, cut: int) -> None:
    """A change that ends anywhere is taken back to exactly what was."""
    made = machine()
    brought_about(made, first, NetworkConfig())
    was = seen(made)
    networking = Networking(FakeHost.of(made), persist=False)
    state = networking.network_state(second)
    plan = planned(networking, second, first)
    snapshot = networking.snapshot(state, second, first, plan)
    networking.apply_network(cut_off(without_proof(plan), cut), lambda _: None)
    back = networking.plan_revert(networking.network_state(second), snapshot, second)
    networking.apply_network(back, lambda _: None)

    assert seen(made) == was
    assert networking.plan_revert(networking.network_state(second), snapshot, second).steps == ()


def cut_off(plan: NetworkPlan, after: int) -> NetworkPlan:
    """Its first steps."""
    return plan.model_copy(update={"steps": plan.steps[:after]})


@given(networks(), st.randoms(use_true_random=False))
@ENOUGH
def test_order_of_the_input_does_not_matter(config: NetworkConfig, chance: Random) -> None:
    """Links, routes and rules in another order make the same plan."""
    shuffled: dict[str, object] = {}
    for field in ("links", "routes", "rules"):
        given_order = list(getattr(config, field) or ())
        chance.shuffle(given_order)
        shuffled[field] = tuple(given_order) if getattr(config, field) is not None else None
    networking = Networking(FakeHost.of(machine()), persist=False)
    both = (config, config.model_copy(update=shuffled))
    plans = [planned(networking, one, NetworkConfig()) for one in both]
    assert plans[0].steps == plans[1].steps


@given(networks())
@ENOUGH
def test_unspecified_is_left_alone(config: NetworkConfig) -> None:
    """A configuration that says nothing changes nothing; one that holds already, neither."""
    made = machine()
    brought_about(made, config, NetworkConfig())
    was = seen(made)
    brought_about(made, NetworkConfig(), NetworkConfig())

    assert seen(made) == was


@given(networks())
@ENOUGH
def test_what_is_can_be_desired(config: NetworkConfig) -> None:
    """The network as it is, told in the words in which one is desired, changes nothing when it is."""
    made = machine()
    networking = brought_about(made, config, NetworkConfig())
    state = networking.network_state(config)
    assert networking.plan_network(state, configured(state), NetworkConfig()).steps == ()
