"""Proposals: feasible, distinct, new, the same again, and as good as what a slow search finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from activelearn.acquisition import KINDS, Acquisition, Kind
from activelearn.asked import Asked, Proposals, best_of
from activelearn.chemical_constraints import MixtureVariables, at_least, at_most
from activelearn.constraints import Constraint, Constraints
from activelearn.experiments import Experiments, Listed, MixtureModel, both
from activelearn.free_amounts import best_in_region, region_of_all, worth_in
from activelearn.mixture_masks import MixtureMask
from activelearn.propose import How, propose
from activelearn.spaces import MixtureSpace
from surrogates.errors import InputError
from surrogates.mixture_data import MixtureData, mixture_rows
from surrogates.prior_gp import fit_prior_gp
from tests.synthetic_laws import small_law_ensemble
from tests.synthetic_mixtures import SALTS, SOLVENTS, small_ensemble

SPACE = MixtureSpace(
    solvents=dict(zip("ABCDE", SOLVENTS, strict=True)),
    salts={"S": SALTS[0], "T": SALTS[1]},
    solvents_per_mixture=(2, 3),
    fraction_step=0.2,
    molality_mol_kg=(0.5, 1.0, 1.5),
)
ONE_SALT = replace(
    SPACE,
    solvents=dict(zip("ABC", SOLVENTS, strict=False)),
    salts={"S": SALTS[0]},
    solvents_per_mixture=(3,),
)


class _Curved:
    """Keeps the second solvent below a parabola of the first."""

    name, unit, columns, tolerance, is_equality = "curved", "", (0, 1), 1e-6, False

    def residual(self, x: Tensor) -> Tensor:
        return 0.6 - x[..., 1] - x[..., 0].square()


def _constraints(space: MixtureSpace, *asked: Constraint) -> Constraints:
    variables = MixtureVariables(space.solvents, space.salts)
    domain = variables.domain((0.5, 1.5), (298.15, 298.15))
    return Constraints(variables.names, domain, asked)


def _some(space: MixtureSpace) -> tuple[Constraint, ...]:
    variables = MixtureVariables(space.solvents, space.salts)
    return (
        at_least("some A", variables, {"A": 1.0}, 0.2),
        at_most("little salt with A", variables, {"A": 1.0, "S": 0.5}, 1.1),
        _Curved(),
    )


def _listed(space: MixtureSpace, candidates: Tensor) -> MixtureData:
    batch = space.at(candidates).to(torch.float64)
    target = torch.sin(9 * batch.weights[:, 0]) + batch.molality[:, 0] - 2.0
    rows = mixture_rows(space.table, batch, np.arange(len(batch)) + 2, np.zeros(len(batch), dtype=bool))
    return MixtureData(space.table, batch, target, "log10_conductivity_S_cm", rows, "mine.csv", "", ())


def _asked(
    kind: Kind = "log-nei",
    space: MixtureSpace = SPACE,
    constraints: tuple[Constraint, ...] | None = None,
    learns: bool = True,
    measured: int = 12,
    pending: int = 0,
    avoid_unknown: bool = False,
    seed: int = 0,
) -> Asked:
    asked = _some(space) if constraints is None else constraints
    held = _constraints(space, *asked)
    mask = MixtureMask(space, held) if asked else None
    order = torch.randperm(len(space), generator=torch.Generator().manual_seed(1))
    data, waiting = _listed(space, order[:measured]), _listed(space, order[measured : measured + pending])
    model: MixtureModel = small_law_ensemble()
    if learns:
        model = fit_prior_gp(small_law_ensemble(), data, (space.table, space.at(order)), 0)
    experiments = Experiments(
        space,
        held,
        model,
        Listed.measured(data) if measured else None,
        Listed.measured(waiting) if pending else None,
    )
    return Asked(experiments, Acquisition(kind), mask, avoid_unknown, seed)


def _check(asked: Asked, found: Proposals, q: int) -> None:
    e = asked.experiments
    assert len(found) == q
    assert e.constraints.is_feasible(found.x).all()
    least = [0.01] * len(e.space.solvents) + [0.02] * len(e.space.salts) + [1.0]
    every = torch.cat([found.x, e.known]) / torch.tensor(least, dtype=torch.float64)
    apart = torch.cdist(every[:q], every, p=torch.inf)
    assert (apart[~torch.eye(*apart.shape, dtype=torch.bool)] > 1 - 1e-5).all()
    assert not e.is_taken(found.x).any()
    assert found.value.isfinite().all()
    expected = e.predictor.predict(e.mixtures(found.x))
    torch.testing.assert_close(found.prediction.mean, expected.mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.prediction.std, expected.std, rtol=1e-3, atol=1e-5)


@settings(max_examples=25)
@given(
    kind=st.sampled_from(KINDS),
    learns=st.booleans(),
    measured=st.sampled_from([0, 1, 12]),
    pending=st.sampled_from([0, 3]),
    seed=st.integers(0, 2),
)
def test_a_pool_gives_what_can_be_mixed_and_is_new(
    kind: Kind, learns: bool, measured: int, pending: int, seed: int
) -> None:
    asked = _asked(kind, learns=learns and measured > 0, measured=measured, pending=pending, seed=seed)
    found = propose(asked, 5, "pool")
    _check(asked, found, 5)
    e = asked.experiments
    there = e.variables.rows(e.space.at(found.candidate).to(torch.float64), e.space.table)
    torch.testing.assert_close(found.x, there)
    again = propose(asked, 5, "pool")
    assert torch.equal(found.candidate, again.candidate)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "thompson"])
@pytest.mark.parametrize("learns", [True, False], ids=["gp", "ensemble"])
def test_amounts_are_improved_where_components_stay(kind: Kind, learns: bool) -> None:
    asked = _asked(kind, learns=learns, pending=2)
    pool, mixed = propose(asked, 3, "pool"), propose(asked, 3, "mixed")
    _check(asked, mixed, 3)
    assert torch.equal(pool.x > 0, mixed.x > 0)
    moved = mixed.candidate < 0
    assert moved.any() or not learns  # an ensemble may be best at a corner that is a candidate
    assert torch.equal(mixed.x[~moved], pool.x[~moved])
    first = e_of(asked, pool.x[:1])
    assert mixed.value[0] >= first - 1e-3 * first.abs()
    again = propose(asked, 3, "mixed")
    torch.testing.assert_close(again.x, mixed.x, rtol=0, atol=0)


def e_of(asked: Asked, x: Tensor) -> Tensor:
    """Return what an experiment is worth alone."""
    e = asked.experiments
    base = e.baseline if e.measured is not None else torch.zeros(0, dtype=torch.int64)
    best = float(e.measured.values[base].max()) if e.measured is not None else 0.0
    function = asked.acquisition.function(
        e.surrogate, best, e.measured_rows(base), e.pending_rows() if e.pending else None, asked.seed
    )
    return function(e.rows(e.mixtures(x)).unsqueeze(-2))[0]


@settings(max_examples=6)
@given(
    how=st.sampled_from(["mixed", "gradient"]),  # `continuous` takes seconds
    kind=st.sampled_from(["mean", "ucb"]),
    measured=st.sampled_from([0, 1, 8]),
    pending=st.sampled_from([0, 3]),
    step=st.sampled_from([0.2, 0.1]),
    seed=st.integers(0, 2),
)
def test_a_laboratory_can_tell_proposals_apart(
    how: How, kind: Kind, measured: int, pending: int, step: float, seed: int
) -> None:
    space = replace(ONE_SALT, fraction_step=step)
    asked = _asked(kind, space, learns=measured > 0, measured=measured, pending=pending, seed=seed)
    e = asked.experiments
    last = propose(asked, 2, how)
    # What was proposed before is pending now: gradients lead there again.
    waiting = Listed(e.table, e.mixtures(last.x), torch.zeros(0, dtype=torch.float64))
    before = waiting if e.pending is None else both(e.pending, waiting)
    asked = replace(asked, experiments=replace(e, pending=before))
    found = propose(asked, 3, how)
    _check(asked, found, 3)


@pytest.mark.parametrize("kind", ["log-nei", "mean", "ucb"])
def test_all_amounts_run_freely(kind: Kind) -> None:
    asked = _asked(kind, ONE_SALT)
    found = propose(asked, 2, "continuous")
    _check(asked, found, 2)
    assert (found.candidate == -1).all()
    region = region_of_all(asked)
    worth = worth_in(asked, region, found.x[:0])
    dense = region.sample(3000, 5)
    with torch.no_grad():
        best = max(float(worth(part).max()) for part in dense.split(500))
    assert float(found.value[0]) >= best - 1e-3


def test_the_mean_takes_the_best_that_are_feasible_and_new() -> None:
    asked = _asked("mean", pending=3)
    e, mask = asked.experiments, asked.mask
    assert mask is not None
    every = e.space.at(torch.arange(len(e.space))).to(torch.float64)
    x = e.variables.rows(every, e.space.table)
    mean = e.model.bind(e.space.table).predict(every).mean
    may = e.constraints.is_feasible(x) & ~e.is_taken(x)
    expected = mean.masked_fill(~may, -torch.inf).argsort(descending=True)[:6]
    assert propose(asked, 6, "pool").candidate.tolist() == expected.tolist()


@pytest.mark.parametrize("how", ["pool", "mixed"])
def test_what_the_model_does_not_know_is_left_out_if_asked(how: How) -> None:
    # Of a MolSets ensemble's domain half of these candidates are no part.
    asked = replace(_asked("exploration", learns=False), avoid_unknown=True)
    known = replace(asked, experiments=replace(asked.experiments, model=small_ensemble(), measured=None))
    everything = small_ensemble().bind(SPACE.table).predict(SPACE[0 : len(SPACE)]).in_domain
    assert everything.any()
    assert propose(known, 4, how).prediction.in_domain.all()


def test_an_optimum_behind_a_curve_is_found() -> None:
    asked = _asked(space=ONE_SALT)
    region = region_of_all(asked)

    def worth(z: Tensor) -> Tensor:
        return z[:, 1] + 0.5 * z[:, 0] - 0.1 * (z[:, -1] - 1.2).square()

    points, values = best_in_region(worth, region, seed=0)
    assert region.is_feasible(points).all()
    assert (values.diff() <= 0).all()
    # On the parabola 0.6 - a^2 + a / 2 is highest at a quarter.
    assert points[0].tolist() == pytest.approx([0.25, 0.5375, 0.2125, 1.2], abs=1e-3)
    assert float(values[0]) == pytest.approx(0.6625, abs=1e-6)


def test_too_few_are_left() -> None:
    variables = MixtureVariables(SPACE.solvents, SPACE.salts)
    narrow = (
        at_least("nearly all A", variables, {"A": 1.0}, 0.8),
        at_least("some B", variables, {"B": 1.0}, 0.2),
        at_least("salt S", variables, {"S": 1.0}, 1.5),
    )
    asked = _asked("mean", constraints=narrow, measured=0, learns=False)
    with pytest.raises(InputError) as error:
        propose(asked, 3, "pool")
    assert str(error.value) == (
        "space: 1 candidate is left that fulfil all and were not measured; 3 were asked for. Ask for fewer, "
        "widen the space or loosen a constraint."
    )


def test_several_salts_cannot_run_freely_at_once() -> None:
    with pytest.raises(InputError, match="2 salts; how: continuous takes the amounts of one"):
        propose(_asked(), 2, "continuous")


def test_threads_are_as_before() -> None:
    threads = torch.get_num_threads()
    propose(_asked("mean"), 1, "pool")
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("how", ["pool", "mixed"])
def test_without_salt_the_candidates_of_all_salts_are_one(how: How) -> None:
    space = replace(SPACE, molality_mol_kg=(0.0,), fraction_step=0.5, solvents_per_mixture=(2,))
    variables = MixtureVariables(space.solvents, space.salts)
    held = Constraints(variables.names, variables.domain((0.0, 0.0), (298.15, 298.15)), ())
    asked = Asked(Experiments(space, held, small_law_ensemble()), Acquisition("mean"), None)
    assert len(space) == 20
    _check(asked, propose(asked, 10, how), 10)
    with pytest.raises(InputError, match="10 candidates are left"):
        propose(asked, 11, how)


@pytest.mark.parametrize("how", ["mixed", "continuous"])
def test_gradients_do_not_lead_to_what_is_pending_again(how: How) -> None:
    asked = _asked("mean", ONE_SALT, learns=False, measured=0)
    first = propose(asked, 1, how)
    e = asked.experiments
    waiting = Listed(e.table, e.mixtures(first.x), torch.zeros(0, dtype=torch.float64))
    again = propose(replace(asked, experiments=replace(e, pending=waiting)), 1, how)
    assert (again.x - first.x).abs().max() > 0.01 - 1e-6


def test_a_mixture_of_all_solvents_keeps_them() -> None:
    asked = _asked("mean", ONE_SALT, constraints=(), learns=False, measured=0)
    found = propose(asked, 4, "mixed")
    assert (found.x[:, :3] > 0.2 - 1e-6).all()


def test_before_the_first_measurement_what_is_not_allowed_is_not_the_best() -> None:
    variables = MixtureVariables(SPACE.solvents, SPACE.salts)
    every = SPACE[0 : len(SPACE)].expand().to(torch.float64)
    mean, x = small_law_ensemble().bind(SPACE.table).predict(every).mean, variables.rows(every, SPACE.table)
    most = int(x[mean.argmax(), :5].argmax())
    without = at_most("without the best", variables, {"ABCDE"[most]: 1.0}, 0.0)
    allowed = float(mean[x[:, most] == 0].max())
    assert mean.max() > allowed + 1e-4
    # With nothing measured, what is believed of the candidates that are drawn stands for the best.
    found = propose(_asked("log-ei", constraints=(without,), measured=0, learns=False), 1, "pool")
    asked = _asked("log-ei", constraints=(without,), measured=0, learns=False)
    assert best_of(asked, asked.experiments.baseline) <= allowed + 1e-5
    assert found.x[0, most] == 0
