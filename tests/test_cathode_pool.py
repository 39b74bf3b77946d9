"""Cathodes out of a pool: what is shortlisted, what counts as made, what a batch is judged by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from activelearn import cathode_pool
from activelearn.acquisition import KINDS, Acquisition, Kind
from activelearn.cathode_pool import (
    FRONT_KINDS,
    AskedCathodes,
    CathodePool,
    FrontKind,
    Made,
    propose_cathodes,
)
from activelearn.chemical_constraints import CompositionVariables, at_most
from activelearn.composition_masks import CompositionMask
from activelearn.composition_spaces import CompositionSpace
from activelearn.constraints import Constraints
from activelearn.fronts import FrontDraws, choose_for_front, draw, reference_point
from surrogates.composition_batches import read_formulas
from surrogates.errors import InputError
from surrogates.prediction import JointPrediction
from tests.synthetic_cathodes import LinearMembers

SPACE = CompositionSpace(
    metals=("Mn2+", "Mn3+", "Cr3+", "Ti4+", "Nb5+"),
    metals_per_composition=(2, 3),
    lithium=(1.2, 1.25),
    fluorine=(0.0, 0.2),
    step=0.05,
)
"""378 candidates, of which the model knows 183."""
VARIABLES = CompositionVariables(SPACE.table.elements)
NAMES = ("capacity_mAh_g", "retention_30")
_IMPROVEMENTS: tuple[Kind, ...] = ("log-nei", "log-ei")


def _made(formulas: list[str], values: list[list[float]] | None = None) -> Made:
    table, batch = read_formulas(formulas)
    return Made(table, batch, torch.tensor(values or [], dtype=torch.float64))


def _mask(chromium: float) -> CompositionMask:
    asked = (at_most("little Cr", VARIABLES, {"Cr": 1.0}, chromium),)
    return CompositionMask(VARIABLES, Constraints(VARIABLES.names, (), asked))


def _formulas(candidates: Tensor) -> list[str]:
    return list(SPACE.describe(candidates.numpy())["formula"])


MEASURED = _made(
    [
        _formulas(torch.tensor([7]))[0],
        "Li1.2Mn0.5Ti0.3O2",  # no candidate, but of these elements and contents
        "Li1.2Zr0.4Mn0.4O2",  # another element
        "Li1.3Mn0.4Nb0.3O2",  # too much lithium
        "Li1.2Cr0.6Ti0.2O2",
    ],
    [[70.0, 0.05], [60.0, float("nan")], [900.0, 0.9], [900.0, 0.9], [40.0, 0.02]],
)
POOL = CathodePool(SPACE, LinearMembers(), NAMES)


def test_what_could_be_a_candidate_is_what_others_are_judged_by() -> None:
    assert POOL.baseline.tolist() == []
    pool = replace(POOL, measured=MEASURED)
    assert pool.baseline.tolist() == [0, 1, 4]
    assert replace(pool, mask=_mask(0.3)).baseline.tolist() == [0, 1]
    assert pool.table.elements == (*SPACE.table.elements, "Zr")


def test_what_was_measured_or_is_pending_is_made() -> None:
    pool = replace(POOL, measured=MEASURED, pending=_made(_formulas(torch.tensor([20, 11]))))
    assert pool.is_made(SPACE[0 : len(SPACE)]).nonzero()[:, 0].tolist() == [7, 11, 20]
    assert pool.made == 7
    assert not POOL.is_made(SPACE[0:9]).any()
    written = _made(["Li1.204Mn0.397Ti0.396O2"])  # a formula of two decimals may be off by half of the last
    assert len(replace(POOL, pending=written).is_made(SPACE[0 : len(SPACE)]).nonzero()) == 1
    assert not replace(POOL, pending=_made(["Li1.21Mn0.39Ti0.4O2"])).is_made(SPACE[0 : len(SPACE)]).any()


def test_a_front_is_chosen_out_of_what_candidates_may_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch out of a shortlist is nearly that out of the whole pool, and exactly where all is listed."""
    pool = replace(POOL, measured=MEASURED, pending=_made(_formulas(torch.tensor([20]))))
    found = propose_cathodes(AskedCathodes(pool, "log-nehvi", seed=3), 5)
    batch = SPACE[0 : len(SPACE)]
    free = (~pool.is_made(batch)).nonzero()[:, 0]
    assert MEASURED.values.shape == (5, 2)
    rows = torch.cat([free, torch.tensor([20])])  # the third of the measured ones is beaten by the first
    said = LinearMembers().bind(pool.table).jointly(SPACE.at(rows))
    measured = LinearMembers().bind(pool.table).jointly(pool.over_table(MEASURED)[torch.tensor([0, 1])])
    first, second = MEASURED.values[0], MEASURED.values[1]
    mean = torch.cat([said.mean, first[None], torch.stack([second[0], measured.mean[1, 1]])[None]])
    apart = torch.cat([said.apart, measured.apart], dim=1)
    apart[:, -2] = 0
    apart[:, -1, 0] = 0
    drawn = draw(JointPrediction(mean, apart), 3)
    reference = torch.minimum(reference_point(mean[: len(free)]), reference_point(mean[-2:]))
    slow = choose_for_front(FrontDraws(drawn, len(free), reference), 5)
    assert sorted(found.candidate.tolist()) == sorted(free[slow.places].tolist())
    torch.testing.assert_close(found.value, slow.values, rtol=1e-4, atol=1e-4)
    assert found.reference is not None
    torch.testing.assert_close(found.reference, reference)
    monkeypatch.setattr(cathode_pool, "SHORTLIST", 60)
    short = propose_cathodes(AskedCathodes(pool, "log-nehvi", seed=3), 5)
    assert float(short.value.exp().sum()) > 0.98 * float(found.value.exp().sum())


def test_what_failed_is_made_and_nothing_is_known_of_it() -> None:
    pool = replace(POOL, measured=MEASURED)
    (first,) = propose_cathodes(AskedCathodes(pool, "log-nehvi"), 1).candidate.tolist()
    failed = replace(pool, failed=_made(_formulas(torch.tensor([first]))))
    assert failed.made == pool.made + 1
    assert first not in propose_cathodes(AskedCathodes(failed, "log-nehvi"), 8).candidate.tolist()
    assert failed.baseline.tolist() == pool.baseline.tolist()


@pytest.mark.parametrize("objectives", [1, 2])
def test_a_model_that_has_learnt_is_believed_where_was_measured(objectives: int) -> None:
    values = MEASURED.values[:, :objectives]
    wild = torch.where(values.isfinite(), values + 1e4, values)  # it has learnt that these are mistakes
    rule: Acquisition | FrontKind = "log-nehvi" if objectives == 2 else Acquisition("log-nei")
    of = replace(POOL, model=LinearMembers(objectives), objectives=NAMES[:objectives])
    as_measured, believed, sober = (
        propose_cathodes(
            AskedCathodes(
                replace(of, measured=replace(MEASURED, values=these), has_learnt=has_learnt), rule, seed=1
            ),
            3,
        )
        for these, has_learnt in ((wild, False), (wild, True), (values, True))
    )
    assert torch.equal(believed.value, sober.value) or objectives == 1
    assert float(believed.value[0]) > float(as_measured.value[0]) + 1


def test_the_same_composition_counts_once_where_a_model_has_learnt() -> None:
    twice = _made([_formulas(torch.tensor([7]))[0]] * 3 + ["Li1.2Cr0.6Ti0.2O2"], [[70.0, 0.05]] * 4)
    pool = replace(POOL, measured=twice, has_learnt=True)
    assert cathode_pool._leaders(pool, twice).tolist() == [0, 3]


def test_the_lowest_pareto_ranks_of_means() -> None:
    found = propose_cathodes(AskedCathodes(POOL, "pareto-rank"), 12)
    mean = POOL.predictor.predict(SPACE[0 : len(SPACE)]).mean
    better = (mean[None] >= mean[:, None]).all(-1) & (mean[None] > mean[:, None]).any(-1)
    front = (~better.any(1)).nonzero()[:, 0].tolist()
    firsts = found.candidate[found.value == 1].tolist()
    assert set(firsts) <= set(front)
    assert len(firsts) == min(len(front), 12)
    assert (found.value.diff() >= 0).all()
    torch.testing.assert_close(found.prediction.mean, mean[found.candidate])


def test_one_objective_is_chosen_as_of_mixtures() -> None:
    values = MEASURED.values[:, :1]
    pool = replace(
        POOL, model=LinearMembers(1), objectives=NAMES[:1], measured=replace(MEASURED, values=values)
    )
    mean = pool.predictor.predict(SPACE[0 : len(SPACE)]).mean[:, 0]
    greedy = propose_cathodes(AskedCathodes(pool, Acquisition("mean")), 5)
    expected = [one for one in mean.argsort(descending=True, stable=True).tolist() if one != 7][:5]
    assert greedy.candidate.tolist() == expected
    assert greedy.prediction.mean.shape == (5, 1)
    # What was measured is certain, so that the noisy improvement is that on the best of it.
    noisy, plain = (propose_cathodes(AskedCathodes(pool, Acquisition(kind)), 3) for kind in _IMPROVEMENTS)
    assert noisy.candidate.tolist() == plain.candidate.tolist()
    torch.testing.assert_close(noisy.value, plain.value, rtol=0, atol=0.05)
    higher = replace(pool, measured=replace(MEASURED, values=values + 40))
    found = propose_cathodes(AskedCathodes(higher, Acquisition("log-nei")), 1)
    assert float(found.value[0]) < float(noisy.value[0]) - 0.1


@pytest.mark.parametrize("kind", _IMPROVEMENTS)
def test_before_the_first_measurement_one_objective_is_judged_by_the_model(kind: Kind) -> None:
    pool = replace(POOL, model=LinearMembers(1), objectives=NAMES[:1])
    found = propose_cathodes(AskedCathodes(pool, Acquisition(kind)), 3)
    other = propose_cathodes(AskedCathodes(pool, Acquisition("log-ei")), 3)
    assert found.candidate.tolist() == other.candidate.tolist()


@settings(max_examples=20)
@given(
    kind=st.sampled_from([*KINDS, *FRONT_KINDS]),
    q=st.integers(1, 12),
    chromium=st.floats(0.0, 0.8),
    avoid_unknown=st.booleans(),
    seed=st.integers(0, 3),
)
def test_proposals_are_feasible_distinct_new_and_the_same_again(
    kind: str, q: int, chromium: float, avoid_unknown: bool, seed: int
) -> None:
    rule: Acquisition | FrontKind
    front = [one for one in FRONT_KINDS if one == kind]
    rule = front[0] if front else Acquisition(next(one for one in KINDS if one == kind), 2.0)
    o = 2 if front else 1
    pool = CathodePool(
        SPACE,
        LinearMembers(o),
        NAMES[:o],
        _mask(chromium),
        replace(MEASURED, values=MEASURED.values[:, :o]),
        _made(_formulas(torch.tensor([20]))),
    )
    asked = AskedCathodes(pool, rule, avoid_unknown, seed)
    found, again = propose_cathodes(asked, q), propose_cathodes(asked, q)
    assert len(set(found.candidate.tolist())) == q == len(found)
    x = VARIABLES.rows(SPACE.at(found.candidate))
    assert (x[:, VARIABLES.column("Cr")] <= chromium + 1e-6).all()
    assert not {7, 20} & set(found.candidate.tolist())
    assert found.prediction.in_domain.all() or not avoid_unknown
    assert found.value.isfinite().all()
    assert again.candidate.tolist() == found.candidate.tolist()
    assert torch.equal(again.value, found.value)


@pytest.mark.parametrize(
    ("avoid_unknown", "q", "message"),
    [
        (False, 400, "{left} candidates are left that fulfil all and were not measured; 400 were asked for."),
        (
            True,
            270,
            "{left} candidates are left that fulfil all and were not measured, in the model's domain; 270 "
            "were asked for.",
        ),
    ],
)
def test_too_few_candidates(avoid_unknown: bool, q: int, message: str) -> None:
    pool = replace(POOL, measured=MEASURED)
    free = ~pool.is_made(SPACE[0 : len(SPACE)])
    if avoid_unknown:
        free &= pool.predictor.predict(SPACE[0 : len(SPACE)]).in_domain
    with pytest.raises(InputError) as error:
        propose_cathodes(AskedCathodes(pool, "log-nehvi", avoid_unknown), q)
    mend = "Ask for fewer, widen the space or loosen a constraint."
    assert str(error.value) == f"space: {message.format(left=int(free.sum()))} {mend}"


@pytest.mark.parametrize(
    ("rule", "names"), [("log-nehvi", NAMES[:1]), (Acquisition("mean"), NAMES)], ids=["one", "two"]
)
def test_a_rule_is_for_its_number_of_objectives(rule: Any, names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"is no rule for {len(names)} objectives"):
        propose_cathodes(AskedCathodes(replace(POOL, objectives=names), rule), 1)
