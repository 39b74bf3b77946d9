"""Candidates beside what was measured: one table, rows of one width, what counts as measured already."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from activelearn.chemical_constraints import MixtureVariables, at_most
from activelearn.constraints import Constraints
from activelearn.experiments import Experiments, Listed, MixtureModel, both, botorch_model
from activelearn.regions import Region
from activelearn.spaces import MixtureSpace
from surrogates.batches import MixtureBatch
from surrogates.botorch_gp import GPSurrogate
from surrogates.botorch_model import EnsembleSurrogate, StudentSurrogate
from surrogates.mixture_data import tabulate
from tests.synthetic_gps import small_gp
from tests.synthetic_laws import small_law_ensemble
from tests.synthetic_mixtures import SALTS, SOLVENTS, small_ensemble
from tests.synthetic_students import small_student

SPACE = MixtureSpace(
    solvents=dict(zip("ABC", SOLVENTS, strict=False)),
    salts={"S": SALTS[0]},
    fraction_step=0.25,
    molality_mol_kg=(0.5, 1.0),
    temperature_K=(298.15,),
)
VARIABLES = MixtureVariables(SPACE.solvents, SPACE.salts)
DOMAIN = VARIABLES.domain((0.5, 1.0), (298.15, 298.15))


def _listed(rows: list[tuple[list[int], list[float], int, float, float]]) -> Listed:
    """Return mixtures of `SOLVENTS` and `SALTS` by place: solvents, weights, salt, molality, temperature."""
    table, batch = tabulate(
        [[SOLVENTS[i] for i in solvents] for solvents, *_ in rows],
        [weights for _, weights, *_ in rows],
        [[SALTS[salt]] for *_, salt, _, _ in rows],
        [[molality] for *_, molality, _ in rows],
        [kelvin for *_, kelvin in rows],
    )
    return Listed(table, batch, torch.arange(len(rows), dtype=torch.float64))


MEASURED = _listed(
    [
        ([1, 0], [0.45, 0.45], 0, 1.0, 298.15),  # a candidate, named in another order, of weights below 1
        ([0, 1], [0.5, 0.5], 1, 1.0, 298.15),  # another salt
        ([0, 3], [0.5, 0.5], 0, 1.0, 298.15),  # another solvent
        ([0, 2], [0.6, 0.4], 0, 0.7, 298.4),  # between candidates
        ([0, 2], [0.6, 0.4], 0, 0.7, 313.15),  # warmer than the space
        ([0, 1, 2], [0.2, 0.3, 0.5], 0, 3.0, 298.15),  # more salt than the space has
    ]
)


def _experiments(
    measured: Listed | None = MEASURED, pending: Listed | None = None, model: MixtureModel | None = None
) -> Experiments:
    constraints = Constraints(VARIABLES.names, DOMAIN, ())
    return Experiments(SPACE, constraints, model or small_law_ensemble(), measured, pending)


def test_the_table_begins_with_that_of_the_space() -> None:
    table = _experiments().table
    assert table.components[: len(SPACE.table)] == SPACE.table.components
    assert set(table.components) == {*SOLVENTS[:4], *SALTS}


def test_what_could_be_a_candidate_is_what_others_are_judged_by() -> None:
    assert _experiments().baseline.tolist() == [0, 3]
    assert _experiments(measured=None).baseline.tolist() == []
    asked = replace(_experiments().constraints, asked=(at_most("little B", VARIABLES, {"B": 1.0}, 0.3),))
    assert replace(_experiments(), constraints=asked).baseline.tolist() == [3]


def test_what_was_measured_or_is_pending_is_taken() -> None:
    pending = _listed([([2], [1.0], 0, 0.5, 298.15)])
    x = torch.tensor(
        [[0.5, 0.5, 0, 1.0, 298.15], [0.5, 0.5, 0, 0.5, 298.15], [0, 0, 1.0, 0.5, 298.15]]
    )  # float32
    assert _experiments(pending=pending).is_taken(x.double()).tolist() == [True, False, True]
    assert _experiments(measured=None).is_taken(x.double()).tolist() == [False, False, False]


def test_all_rows_are_of_one_width_and_say_what_the_model_says() -> None:
    pending = _listed([([2], [1.0], 0, 0.5, 298.15), ([4, 3], [0.2, 0.8], 1, 0.9, 310.0)])
    e = _experiments(pending=pending)
    candidates = e.rows(SPACE[0:6].expand().to(torch.float64))
    rows = torch.cat([candidates, e.measured_rows(torch.arange(6)), e.pending_rows()])
    mean = e.surrogate.posterior(rows).mean[:, 0]
    parts = [
        small_law_ensemble().bind(table).double().predict(batch).mean
        for table, batch in (
            (SPACE.table, SPACE[0:6].expand().to(torch.float64)),
            (MEASURED.table, MEASURED.batch),
            (pending.table, pending.batch),
        )
    ]
    torch.testing.assert_close(mean, torch.cat(parts), rtol=1e-5, atol=1e-6)
    assert len(e.measured_rows(torch.zeros(0, dtype=torch.int64))) == 0


def test_amounts_of_any_salt_are_rows_of_the_same_mixture() -> None:
    space = replace(SPACE, salts={"S": SALTS[0], "T": SALTS[1]})
    variables = MixtureVariables(space.solvents, space.salts)
    constraints = Constraints(variables.names, variables.domain((0.5, 1.0), (298.15, 298.15)), ())
    e = Experiments(space, constraints, small_law_ensemble())
    batch = space.at(torch.tensor([0, 1, 2, 3, 17, 18, 19])).to(torch.float64)
    assert len(batch.salts.unique()) == 2
    rows = e.rows(e.mixtures(variables.rows(batch, space.table)))
    said = e.surrogate.posterior(rows).mean[:, 0]
    expected = small_law_ensemble().bind(space.table).predict(batch.to(torch.float32)).mean.double()
    torch.testing.assert_close(said, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", [small_law_ensemble(), small_ensemble()], ids=["diffmix", "molsets"])
def test_points_of_a_region_are_mixtures_of_its_components(model: MixtureModel) -> None:
    e = _experiments(model=model)
    region = Region.of(e.constraints, [0, 2, 3], {4: 298.15})
    z = torch.tensor([[0.25, 0.75, 0.5], [0.4, 0.6, 0.9]], dtype=torch.float64).requires_grad_()
    rows = e.of_region(region, z.unsqueeze(1))
    assert rows.shape[:2] == (2, 1)
    expected = e.predictor.predict(e.mixtures(region.amounts(z.detach())))
    said = e.surrogate.posterior(rows).mean.flatten()
    torch.testing.assert_close(said, expected.mean.double(), rtol=1e-4, atol=1e-5)
    (slope,) = torch.autograd.grad(said.sum(), z)
    assert slope.abs().min() > 0


def test_each_model_has_its_face() -> None:
    for model, face in (
        (small_gp("diffmix"), GPSurrogate),
        (small_law_ensemble(), EnsembleSurrogate),
        (small_student("diffmix"), StudentSurrogate),
    ):
        assert isinstance(botorch_model(model.bind(SPACE.table), 1), face)
    with pytest.raises(TypeError, match="MixtureBatch has no BoTorch model"):
        botorch_model(MixtureBatch(*[torch.zeros(1, 1)] * 5), 1)


def test_two_lists_are_one() -> None:
    other = _listed([([3, 4, 0], [0.2, 0.3, 0.5], 1, 0.4, 250.0)])
    joined = both(MEASURED, other)
    assert len(joined.batch) == 7
    assert joined.values.tolist() == [0, 1, 2, 3, 4, 5, 0]
    said = small_law_ensemble().bind(joined.table).predict(joined.batch.to(torch.float32)).mean
    alone = [
        small_law_ensemble().bind(o.table).predict(o.batch.to(torch.float32)).mean for o in (MEASURED, other)
    ]
    torch.testing.assert_close(said, torch.cat(alone))


def test_what_was_measured_is_known_by_its_rounded_amounts() -> None:
    space = replace(SPACE, fraction_step=None, solvents_per_mixture=(3,))
    thirds = space.at(torch.arange(2)).to(torch.float64)  # 0.5 and 1 mol/kg
    x = VARIABLES.rows(thirds, space.table)
    for amounts, kelvin in (([0.333, 0.333, 0.334], 298.15), ([1 / 3] * 3, 298.0)):
        listed = _listed([([0, 1, 2], amounts, 0, 1.0, kelvin)])
        assert replace(_experiments(listed), space=space).is_taken(x).tolist() == [False, True]
    other = _listed(
        [([0, 1, 2], [0.34, 0.33, 0.33], 0, 1.0, 298.15), ([0, 1, 2], [1 / 3] * 3, 0, 1.0, 297.0)]
    )
    assert not replace(_experiments(other), space=space).is_taken(x).any()


@pytest.mark.parametrize(
    ("column", "change", "is_beside"),
    [(0, 0.009, True), (0, 0.01, False), (3, 0.019, True), (3, 0.02, False), (4, 0.9, True), (4, 1.0, False)],
)
def test_what_a_laboratory_cannot_tell_apart(column: int, change: float, is_beside: bool) -> None:
    x = torch.tensor([[0.5, 0.5, 0.0, 1.0, 298.15]], dtype=torch.float64)
    other = x.clone()
    other[0, column] += change
    assert _experiments().is_beside(x, other).tolist() == [is_beside]
    assert not _experiments().is_beside(x, other[:0]).any()


def test_a_space_of_finer_steps_is_told_apart_by_these() -> None:
    fine = replace(
        SPACE, fraction_step=0.005, molality_mol_kg=(0.0, 1.0, 1.001), temperature_K=(298.0, 298.15, 300.0)
    )
    assert replace(_experiments(), space=fine).apart.tolist() == pytest.approx([0.005] * 3 + [0.001, 0.15])
    coarse = replace(SPACE, fraction_step=None, molality_mol_kg=(1.0,))
    assert replace(_experiments(), space=coarse).apart.tolist() == [0.01] * 3 + [0.02, 1.0]


def test_what_nobody_can_tell_from_what_is_known_is_beside_it() -> None:
    e = _experiments()
    x = torch.tensor(
        [[0.6, 0, 0.4, 0.7, 298.15], [0.607, 0, 0.393, 0.7, 298.15], [0.62, 0, 0.38, 0.7, 298.15]]
    )
    assert e.is_taken(x.double()).tolist() == [True, False, False]
    assert e.is_beside_known(x.double()).tolist() == [True, True, False]
    assert e.measured_amounts(torch.tensor([3])).tolist() == [[0.6, 0.0, 0.4, 0.7, 298.4]]


def test_points_of_a_region_without_salt_are_mixtures() -> None:
    variables = MixtureVariables(SPACE.solvents, SPACE.salts)
    domain = variables.domain((0.0, 0.0), (298.15, 298.15))
    e = replace(_experiments(None), constraints=Constraints(variables.names, domain, ()))
    region = Region.of(e.constraints, [0, 2], {4: 298.15})
    z = torch.tensor([[0.25, 0.75]], dtype=torch.float64)
    said = e.surrogate.posterior(e.of_region(region, z).unsqueeze(1)).mean.flatten()
    expected = e.predictor.predict(e.mixtures(region.amounts(z))).mean.double()
    torch.testing.assert_close(said, expected, rtol=1e-4, atol=1e-5)
