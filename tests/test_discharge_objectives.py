"""What a screen asks of a discharge model, against asking for each objective and composition alone."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch

from surrogates.composition_batches import Conditions, read_formulas
from surrogates.discharge import discharge, embed_compositions
from surrogates.discharge_models import DischargeEnsemble, discharge_model
from surrogates.discharge_objectives import DischargeObjectives, Objective
from tests.synthetic_compositions import TABLE, compositions

OBJECTIVES = (
    Objective("retention_30", "retention_30", 20, 1.5, 4.8, 30),
    Objective("capacity_mAh_g", "capacity", 20, 1.5, 4.8, 1),
    Objective("late", "capacity", 20, 1.5, 4.8, 30),
    Objective("fast", "capacity", 1000, 2.0, 4.6, 1),
    Objective("average_voltage_V", "average_voltage", 1000, 2.0, 4.6, 1),
    Objective("energy_Wh_kg", "energy_Wh_kg", 100, 2.0, 4.6, 5),
)


@pytest.fixture(scope="module")
def ensemble() -> DischargeEnsemble:
    return discharge_model("drxnet-distilled")


def test_each_objective_is_what_it_is_alone(ensemble: DischargeEnsemble) -> None:
    batch = replace(compositions(5, 4, seed=3))
    batch = type(batch)(batch.cations, batch.weights.float(), batch.fluorine.float())
    predictor = DischargeObjectives(ensemble, OBJECTIVES).bind(TABLE)
    prediction = predictor.predict(batch)
    assert prediction.mean.shape == (5, 6)
    assert prediction.mean.dtype == prediction.epistemic.dtype == torch.float32
    for row in range(5):
        embedding = embed_compositions(ensemble.members, TABLE, batch[row : row + 1])
        for column, one in enumerate(OBJECTIVES):
            asked = Conditions.of([one.rate_mA_g], [one.cycle], [one.V_low], [one.V_high])
            found = discharge(ensemble.members, embedding, asked)
            mean, variance = {
                "capacity": (found.capacity_mAh_g.mean(), found.capacity_mAh_g.var()),
                "energy_Wh_kg": (found.energy_Wh_kg.mean(), found.energy_Wh_kg.var()),
                "average_voltage": found.voltage_statistics(),
                "retention_30": found.retention_statistics(),
            }[one.quantity]
            assert float(prediction.mean[row, column]) == pytest.approx(float(mean), rel=1e-4)
            assert float(prediction.epistemic[row, column]) == pytest.approx(float(variance), rel=1e-3)
    by_name = dict(zip([one.name for one in OBJECTIVES], prediction.mean.T, strict=True))
    assert by_name["retention_30"].numpy() == pytest.approx(
        (by_name["late"] / by_name["capacity_mAh_g"]).numpy(), rel=1e-4
    )
    assert not prediction.aleatoric.any()
    embedding = embed_compositions(ensemble.members, TABLE, batch)
    assert prediction.in_domain.tolist() == ensemble.in_domain(TABLE, batch, embedding).tolist()


def test_what_members_say_together_is_their_covariance(ensemble: DischargeEnsemble) -> None:
    table, batch = read_formulas(["Li1.2Mn0.4Ti0.4O2", "Li1.2Mn0.5Nb0.3O1.8F0.2", "Li1.25Mn0.75O1.75F0.25"])
    predictor = DischargeObjectives(ensemble, OBJECTIVES).bind(table)
    together, alone = predictor.jointly(batch), predictor.predict(batch)
    assert together.mean.dtype == together.apart.dtype == torch.float64
    torch.testing.assert_close(together.mean, alone.mean.double())
    torch.testing.assert_close(together.apart.square().sum(0), alone.epistemic.double(), rtol=1e-5, atol=1e-6)
    embedding = embed_compositions(ensemble.members, table, batch)
    found = discharge(ensemble.members, embedding, Conditions.of([20], [30], [1.5], [4.8]))
    late = found.capacity_mAh_g[..., 0].double()
    torch.testing.assert_close(together.covariance(2), late.T.cov(), rtol=1e-3, atol=1e-3)
    # A member counts for retention by its first capacity, and in the covariance with capacity by its root.
    weight = found.first_capacity_mAh_g[..., 0].double()
    share = weight / weight.sum(0)
    away = late / weight - late.sum(0) / weight.sum(0)
    spare = (1 - share.square().sum(0)).sqrt()
    expected = ((share.sqrt() * away).T @ ((late - late.mean(0)) / (len(late) - 1) ** 0.5)) / spare[:, None]
    across = torch.einsum("kn,km->nm", together.apart[..., 0], together.apart[..., 2])
    torch.testing.assert_close(across, expected, rtol=1e-3, atol=1e-4)


def test_the_predictor_names_what_it_gives_and_pickles(ensemble: DischargeEnsemble) -> None:
    predictor = DischargeObjectives(ensemble, OBJECTIVES[:2]).bind(TABLE)
    assert predictor.target == "retention_30, capacity_mAh_g"
    batch = compositions(3, 4, seed=0)
    batch = type(batch)(batch.cations, batch.weights.float(), batch.fluorine.float())
    copy = pickle.loads(pickle.dumps(predictor))
    # The copy's tensors lie elsewhere in memory, so that float32 may round otherwise.
    torch.testing.assert_close(copy.predict(batch).mean, predictor.predict(batch).mean, rtol=1e-5, atol=0)
    assert predictor.predict(batch).interval_factor.tolist() == pytest.approx([1.6449] * 3, abs=1e-4)


def test_conditions_that_the_model_has_not_seen_are_worth_a_warning(ensemble: DischargeEnsemble) -> None:
    domain = replace(
        ensemble.card.domain,
        ranges={"rate_mA_g": (5, 1000), "V_low": (1.5, 2.5), "V_high": (4, 5), "cycle": (1, 50)},
    )
    known = DischargeEnsemble(ensemble.members, ensemble.card.model_copy(update={"domain": domain}))
    asked = (
        *OBJECTIVES[:2],
        Objective("slow", "capacity", 1, 1.0, 4.8, 1),
        Objective("old", "energy_Wh_kg", 20, 1.5, 4.8, 51),
    )
    assert DischargeObjectives(known, asked).warnings() == [
        "slow: rate_mA_g is outside 5 to 1000; V_low is outside 1.5 to 2.5, what drxnet-distilled was "
        "trained on",
        "old: cycle is outside 1 to 50, what drxnet-distilled was trained on",
    ]
