"""Which linear constraints exclude each other, by name and by how much."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activelearn.chemical_constraints import MixtureVariables, at_least, at_most, ratio
from activelearn.conflicts import check_any, check_possible
from activelearn.constraints import Constraints, Linear
from activelearn.mixture_masks import MixtureMask
from activelearn.spaces import MixtureSpace
from surrogates.errors import InputError
from surrogates.molecules import Component

VARIABLES = MixtureVariables(
    {name: Component.of(smiles) for name, smiles in (("A", "CO"), ("B", "CCO"), ("C", "CCCO"))},
    {"S": Component.of("[Li+].[F-]")},
)


def asked(*constraints: Linear) -> Constraints:
    return Constraints(VARIABLES.names, VARIABLES.domain((0.5, 2.0), (298.15, 298.15)), constraints)


def refusal(*constraints: Linear) -> str:
    with pytest.raises(InputError) as error:
        check_possible(asked(*constraints))
    return str(error.value)


def test_what_excludes_each_other_is_named_with_how_much() -> None:
    told = refusal(
        at_least("A at least 0.6", VARIABLES, {"A": 1}, 0.6),
        at_most("C at most 0.9", VARIABLES, {"C": 1}, 0.9),
        at_least("twice B at least 1", VARIABLES, {"B": 2}, 1.0),
    )
    assert told == (
        'constraints: "A at least 0.6" and "twice B at least 1" exclude each other; for a candidate to be '
        'left, one must give way: "A at least 0.6" by 0.1 or "twice B at least 1" by 0.2. '
        "Loosen one of them, or change the space."
    )


def test_what_no_candidate_fulfils_is_named_alone() -> None:
    salt = at_most("S at most 0.2", VARIABLES, {"S": 1}, 0.2)
    assert refusal(ratio("A is B", VARIABLES, "A", "B", 1.0), salt) == (
        'constraints: "S at most 0.2" excludes every candidate; it is missed by 0.3 mol/kg at least. '
        "Loosen it, or change the space."
    )
    warm = at_least("temperature_K at least 310", VARIABLES, {"temperature_K": 1}, 310)
    assert "it is missed by 11.85 K at least" in refusal(warm)


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.floats(0, 1)), min_size=1, max_size=5))
def test_lower_bounds_are_possible_as_long_as_they_leave_room(bounds: list[tuple[str, float]]) -> None:
    constraints = asked(
        *(at_least(f"{i}", VARIABLES, {name: 1.0}, least) for i, (name, least) in enumerate(bounds))
    )
    needed = {name: max([0.0, *(least for of, least in bounds if of == name)]) for name in "ABC"}
    room = 1 - sum(needed.values())
    if abs(room) < 1e-6:
        return
    if room < 0:
        with pytest.raises(InputError):
            check_possible(constraints)
        return
    check_possible(constraints)
    x = torch.tensor([needed["A"] + room, needed["B"], needed["C"], 1.0, 298.15], dtype=torch.float64)
    assert constraints.violations(x) == []


def test_a_space_without_a_candidate_is_told_with_counts() -> None:
    space = MixtureSpace(VARIABLES.solvents, VARIABLES.salts, (1, 2))
    both = (
        at_least("A at least 0.6", VARIABLES, {"A": 1}, 0.6),
        at_least("B at least 0.1", VARIABLES, {"B": 1}, 0.1),
    )
    with pytest.raises(InputError) as error:
        check_any(MixtureMask(space, asked(*both)), space)
    assert str(error.value) == (
        'constraints: none of the 6 candidates fulfils all; of them miss "A at least 0.6" 5, '
        '"B at least 0.1" 3. Loosen one, or change the space.'
    )
    check_any(MixtureMask(space, asked(*both[:1])), space)
