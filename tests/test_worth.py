"""What a measured value is worth: regret, units and directions, whatever the sign of a target."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.worth import CONDUCTIVITY, Direction, Target

VALUES = st.lists(st.integers(-1000, 1000), min_size=2, max_size=30, unique=True).map(
    lambda values: np.array(values, dtype=float)
)


def test_conductivities_keep_their_regret_and_are_shown_in_mS_cm() -> None:
    truth = np.array([-3.0, -2.0, -2.5])
    assert CONDUCTIVITY.shown_name == "conductivity_mS_cm"
    assert CONDUCTIVITY.shown(truth) == pytest.approx([1.0, 10.0, 10**0.5])
    assert CONDUCTIVITY.regret(truth[[0, 2]], truth) == pytest.approx(1 - 10**-0.5)
    assert CONDUCTIVITY.regret(truth[:0], truth) == 1.0
    assert CONDUCTIVITY.best_shown(truth[:0]) == 0.0
    plain = Target.of("conductivity_S_cm", "highest", np.array([2.0, 8.0, 4.0]))
    assert plain.shown_name == "conductivity_S_cm"
    assert plain.regret(plain.inside(np.array([2.0])), plain.inside(np.array([2.0, 8.0, 4.0]))) == 0.75


@given(VALUES, st.sampled_from(["highest", "lowest"]))
def test_regret_is_0_at_the_optimum_and_1_in_the_middle(values: np.ndarray, direction: Direction) -> None:
    target = Target.of("overpotential_V", direction, values)
    inside = target.inside(values)
    assert target.shown(inside) == pytest.approx(values)
    best = values.max() if direction == "highest" else values.min()
    assert target.best_shown(inside) == pytest.approx(best)
    assert target.regret(inside, inside) == 0.0
    middle = np.array([np.median(inside)])
    assert target.regret(middle, inside) == pytest.approx(1.0)
    assert target.regret(inside[:0], inside) == target.regret(np.array([inside.min()]), inside) >= 1.0
    assert np.isnan(target.best_shown(inside[:0]))


@given(VALUES, st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
def test_regret_is_the_same_in_any_unit(values: np.ndarray, factor: float, shift: float) -> None:
    def regret(values: np.ndarray) -> float:
        target = Target.of("a", "lowest", values)
        return target.regret(target.inside(values[:1]), target.inside(values))

    assert regret(factor * (values + shift)) == pytest.approx(regret(values), rel=1e-6, abs=1e-6)


def test_strategies_see_values_in_a_unit_of_about_their_spread() -> None:
    tiny = np.array([1e-9, 3e-9, np.nan])
    target = Target.of("current_A", "lowest", tiny)
    assert target.inside(tiny)[:2] == pytest.approx([-1.0, -3.0])
    assert Target.of("current_A", "highest", np.array([4.0, 4.0])).unit == 1.0


def test_where_most_are_the_optimum_the_worst_stands_in() -> None:
    inside = np.array([0.0, 2.0, 2.0, np.nan])
    target = Target("yield")
    assert target.regret(np.array([0.0]), inside) == 1.0
    assert target.regret(np.array([2.0]), np.array([2.0, 2.0])) == 0.0


def test_words_say_which_regret_it_is() -> None:
    assert CONDUCTIVITY.words == (
        "Regret is 1 - best / optimum of conductivity_mS_cm, the highest being the best."
    )
    assert Target("overpotential_V", "lowest").words == (
        "Regret is (optimum - best) / (optimum - median of the pool) of overpotential_V, the lowest being "
        "the best; over the best start stands by how much it fell."
    )
