import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.candidate_tables import read_candidates
from campaigns.oracles import Emulator, Oracle, VirtualLaboratory
from campaigns.virtual_conductivity import VirtualConductivity
from surrogates.batches import MixtureBatch
from surrogates.errors import InputError
from surrogates.molecules import MoleculeTable
from surrogates.prediction import Prediction

TARGET = "conductivity_mS_cm"


def pool(n: int = 40) -> pd.DataFrame:
    fraction = np.linspace(0.1, 0.45, n).round(6)
    return pd.DataFrame(
        {
            "candidate": np.arange(n),
            "solvent_1": "EC",
            "weight_fraction_1": fraction,
            "solvent_2": "DMC",
            "weight_fraction_2": 1 - fraction,
            "salt": "LiPF6",
            "molality_mol_kg": 1.0,
            "temperature_K": 298.15,
        },
        index=np.arange(100, 100 + n),
    )


def law(candidates: pd.DataFrame) -> np.ndarray:
    asked = read_candidates(candidates, [])
    return VirtualConductivity.bind(asked.table).conductivity(asked.batch).numpy()


def test_a_measurement_is_the_law_times_factor_and_noise() -> None:
    laboratory = VirtualLaboratory(seed=1)
    came = laboratory.measure(pool(2000))
    noise = np.log(came[TARGET] / (laboratory.factor * law(pool(2000))))

    assert noise.std() == pytest.approx(0.03, rel=0.06)
    assert abs(noise.mean()) < 0.003
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.07
    assert not came["failed"].any()
    assert set(came["reason"]) == set(came["label"]) == {""}
    pd.testing.assert_frame_equal(came[pool(2000).columns], pool(2000))


def test_laboratories_differ_by_8_percent() -> None:
    factors = np.log([VirtualLaboratory(seed).factor for seed in range(2000)])

    assert factors.std() == pytest.approx(0.08, rel=0.06)
    assert abs(factors.mean()) < 0.006
    assert VirtualLaboratory(5, between=0.0).factor == 1


def test_without_noise_it_is_the_law() -> None:
    exact = VirtualLaboratory(between=0, repeatability=0).measure(pool())

    np.testing.assert_allclose(exact[TARGET], law(pool()), rtol=1e-12)


@settings(max_examples=12)
@given(st.permutations(range(12)), st.integers(1, 12), st.integers(0, 3))
def test_what_comes_out_depends_on_nothing_else_that_is_asked(order: list[int], n: int, seed: int) -> None:
    laboratory = VirtualLaboratory(seed, failure_rate=0.3)
    every, some = laboratory.measure(pool(12)), laboratory.measure(pool(12).iloc[order[:n]])

    pd.testing.assert_frame_equal(every.iloc[order[:n]], some)


def test_repeats_scatter_and_can_be_asked_for_one_by_one() -> None:
    laboratory = VirtualLaboratory(failure_rate=0.2)
    together = laboratory.measure(pool(3).iloc[[0, 1, 0, 0]])
    alone = [laboratory.measure(pool(3).iloc[[0]].assign(repeat=repeat)) for repeat in range(3)]

    assert [float(one[TARGET].iloc[0]) for one in alone] == pytest.approx(
        together[TARGET].iloc[[0, 2, 3]].tolist(), nan_ok=True
    )
    again = laboratory.measure(pool(1).iloc[[0] * 2000])
    assert len(again[TARGET].dropna().unique()) == (~again["failed"]).sum()
    assert np.log(again[TARGET]).std() == pytest.approx(0.03, rel=0.06)


def test_experiments_fail_at_the_stated_rate() -> None:
    came = VirtualLaboratory(failure_rate=0.1).measure(pool(3000))
    failed = came["failed"]

    assert failed.mean() == pytest.approx(0.1, abs=0.017)
    assert came[TARGET].isna().tolist() == failed.tolist()
    assert set(came.loc[failed, "reason"]) == {"the experiment failed, as 0.1 of all do"}
    assert set(came.loc[~failed, "reason"]) == {""}
    assert VirtualLaboratory(failure_rate=1.0).measure(pool())["failed"].all()
    sound = VirtualLaboratory().measure(pool(3000))
    pd.testing.assert_series_equal(came[TARGET][~failed], sound[TARGET][~failed])


def test_a_mixture_without_salt_fails_in_any_unit() -> None:
    candidates = pool(2).assign(molality_mol_kg=[0.0, 1.0])
    for target in (TARGET, "log10_conductivity_S_cm"):
        came = VirtualLaboratory(target=target).measure(candidates)
        assert came["failed"].tolist() == [True, False]
        assert came["reason"].tolist() == ["it holds no salt", ""]
        assert came[target].isna().tolist() == [True, False]


def test_labels_stand_beside_measurements() -> None:
    candidates = pool(3).assign(solvent_2=["DMC", "AN", "DMC"], salt=["LiPF6", "LiPF6", "LiFSI"])

    assert VirtualLaboratory().measure(candidates)["label"].tolist() == ["", "indicative", "dubious"]


def test_targets_convert() -> None:
    plain = VirtualLaboratory().measure(pool())[TARGET]
    for target, back in (
        ("conductivity_S_cm", lambda value: 1000 * value),
        ("log10_conductivity_mS_cm", lambda value: 10**value),
        ("log10_conductivity_S_cm", lambda value: 10 ** (value + 3)),
    ):
        laboratory = VirtualLaboratory(target=target)
        asked = read_candidates(pool(), [])
        np.testing.assert_allclose(back(laboratory.measure(pool())[target]), plain, rtol=1e-12)
        expected = back(laboratory.expected(asked.table, asked.batch)).numpy()
        np.testing.assert_allclose(expected, laboratory.factor * law(pool()), rtol=1e-12)


def test_gradients_of_what_is_expected_reach_the_amounts() -> None:
    asked = read_candidates(pool(3), [])
    weights = asked.batch.weights.clone().requires_grad_()
    batch = MixtureBatch(
        asked.batch.solvents, weights, asked.batch.salts, asked.batch.molality, asked.batch.temperature_K
    )
    laboratory = VirtualLaboratory(seed=2, target="log10_conductivity_S_cm")
    laboratory.expected(asked.table, batch).sum().backward()

    plain = VirtualConductivity.bind(asked.table).conductivity(asked.batch)
    again = asked.batch.weights.clone().requires_grad_()
    VirtualConductivity.bind(asked.table).conductivity(
        MixtureBatch(batch.solvents, again, batch.salts, batch.molality, batch.temperature_K)
    ).sum().backward()
    assert weights.grad is not None and again.grad is not None
    torch.testing.assert_close(weights.grad, again.grad / (plain[:, None] * math.log(10)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"temperature_K": [298.15, 200.0, 360.0]},
            "candidates, row 3: 200 K came; the virtual laboratory measures from 233 to 345 K. Correct the "
            "row or leave it out.\n"
            "candidates, row 4: 360 K came; the virtual laboratory measures from 233 to 345 K. Correct the "
            "row or leave it out.",
        ),
        (
            {"salt": ["LiPF6", "LiTDI", "LiPF6"]},
            "salt LiTDI: the virtual laboratory does not have it; its salts are LiPF6, LiTFSI, LiFSI, LiBF4, "
            "LiClO4, LiAsF6, LiOTf, LiBOB. Take one of these.",
        ),
        (
            {"label": ""},
            'candidates: its column "label" is one that a measurement adds. Rename or remove it.',
        ),
    ],
)
def test_what_the_laboratory_cannot_measure(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        VirtualLaboratory().measure(pool(3).assign(**changes))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "seed is -1; a whole number from 0 was expected"),
        ({"between": 1.0}, "between is 1.0; a number from 0 up to, but not, 1 was expected"),
        ({"repeatability": -0.1}, "repeatability is -0.1; a number from 0 up to, but not, 1 was expected"),
        ({"failure_rate": 1.1}, "failure_rate is 1.1; a number from 0 to 1 was expected"),
        (
            {"target": "viscosity"},
            'target is "viscosity"; one of conductivity_mS_cm, conductivity_S_cm, log10_conductivity_mS_cm, '
            "log10_conductivity_S_cm was expected",
        ),
    ],
)
def test_there_is_no_such_laboratory(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        VirtualLaboratory(**changes)
    assert str(error.value) == message


@dataclass(frozen=True)
class Linear:
    """Says the weight fraction of the first solvent, NaN above a half; the variance of its noise is 0.04."""

    target: str = "log10_conductivity_S_cm"

    def bind(self, table: MoleculeTable) -> "Linear":
        return self

    def predict(self, batch: Any) -> Prediction:
        mean = batch.weights[:, 0]
        assert mean.dtype == torch.float32
        mean = mean.masked_fill(mean > 0.5, torch.nan)
        flat = torch.ones_like(mean)
        return Prediction(mean, 9 * flat, 0.04 * flat, flat > 0, flat)


def test_an_emulator_says_its_models_mean() -> None:
    emulator: Oracle = Emulator(Linear(), noise=False)
    came = emulator.measure(pool())

    assert emulator.target == "log10_conductivity_S_cm"
    np.testing.assert_allclose(came[emulator.target], pool()["weight_fraction_1"], rtol=1e-6)
    assert not came["failed"].any() and set(came["reason"]) == {""}
    asked = read_candidates(pool(), [])
    assert Emulator(Linear()).expected(asked.table, asked.batch).tolist() == pytest.approx(
        came[emulator.target].tolist()
    )


def test_an_emulators_noise_is_the_aleatoric_one_and_its_own() -> None:
    noisy = Emulator(Linear(), seed=3)
    came = noisy.measure(pool(2000))["log10_conductivity_S_cm"]

    assert (came - pool(2000)["weight_fraction_1"]).std() == pytest.approx(0.2, rel=0.06)
    assert noisy.measure(pool(2000).iloc[[7]])["log10_conductivity_S_cm"].item() == came.iloc[7]
    assert Emulator(Linear(), seed=4).measure(pool(2000))["log10_conductivity_S_cm"].iloc[7] != came.iloc[7]


def test_where_a_model_says_no_number_the_experiment_failed() -> None:
    candidates = pool(2).assign(weight_fraction_1=[0.4, 0.6], weight_fraction_2=[0.6, 0.4])
    came = Emulator(Linear(), noise=False).measure(candidates)

    assert came["failed"].tolist() == [False, True]
    assert came["reason"].tolist() == ["", "the model says no finite number"]
