"""The law ensemble end to end on a small data set: what it says, whence it may learn, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from surrogates.calibration import fit_calibration
from surrogates.calibration_rows import parts_of
from surrogates.errors import InputError
from surrogates.law_ensemble import LawEnsemble, LawSettings, fit_law_ensemble
from surrogates.law_training import train_on_property
from surrogates.members import Members
from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.molecules import Component
from surrogates.prediction import Calibration, Prediction, together
from surrogates.training import TrainingSettings
from tests.synthetic_laws import SETTINGS, settings_of, small_law_ensemble, vft_data
from tests.synthetic_mixtures import SALTS, SOLVENTS

DATA = vft_data()
ROWS = torch.arange(60)
PARTS = ("mean", "epistemic", "aleatoric")
SLOW = TrainingSettings(epochs=60, batch_size=32, learning_rate=1e-2)


def says(model: LawEnsemble, data: MixtureData = DATA) -> Prediction:
    return model.bind(data.table).predict(data.batch)


def fit(settings: LawSettings = SETTINGS, rows: Tensor = ROWS, seed: int = 0) -> LawEnsemble:
    return fit_law_ensemble(DATA, rows, settings, seed)


def same(one: LawEnsemble, other: LawEnsemble) -> bool:
    return all(torch.equal(getattr(says(one), part), getattr(says(other), part)) for part in PARTS)


def test_the_law_behind_the_data_is_learnt_and_holds_beyond_them() -> None:
    data = vft_data(60)
    cold = torch.arange(192)[data.batch.temperature_K[:192] < 310]
    model = fit_law_ensemble(data, cold, replace(SETTINGS, training=SLOW), seed=0)
    predictor = model.bind(data.table)
    usual = (data.target[192:] - data.target[cold].mean()).abs().mean()
    for kelvin in (275.0, 325.0):  # within what was seen, and 25 K beyond
        rows = torch.arange(192, 240)[data.batch.temperature_K[192:] == kelvin]
        said = predictor.predict(data.batch[rows])
        error = (said.mean - data.target[rows]).abs()
        assert error.mean() < 0.3 * usual
        covered = (error <= said.interval_factor * said.std).double().mean()
        assert covered >= 0.7


def test_a_seed_gives_the_same_numbers() -> None:
    assert same(fit(seed=0), small_law_ensemble())
    assert not same(fit(seed=1), small_law_ensemble())


def test_dropout_is_off_once_it_is_fitted() -> None:
    assert not any(module.training for module in fit().members.network.modules())


def test_rows_that_are_held_back_have_no_say() -> None:
    rows = torch.arange(0, 60, 2)
    changed = replace(DATA, target=DATA.target.clone())
    changed.target[1::2] = 9.0
    assert same(fit(rows=rows), fit_law_ensemble(changed, rows, SETTINGS, seed=0))


def test_rows_that_say_the_same_again_count_once() -> None:
    assert same(fit(rows=torch.cat([ROWS, ROWS[:30]])), small_law_ensemble())


def test_a_second_measurement_that_differs_counts() -> None:
    target = torch.cat([DATA.target, DATA.target[:30] + 0.5])
    twice = replace(DATA, batch=DATA.batch[torch.cat([ROWS, ROWS[:30]])], target=target)
    twice = replace(twice, rows=DATA.rows.iloc[[*range(60), *range(30)]].reset_index(drop=True))
    assert not same(fit_law_ensemble(twice, torch.arange(90), SETTINGS, seed=0), small_law_ensemble())


def test_the_judges_calibrate_and_are_not_among_the_members(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Members] = []

    def watched(*given: Any) -> Members:
        trained.append(train_on_property(*given))
        return trained[-1]

    monkeypatch.setattr("surrogates.law_training.train_on_property", watched)
    model = fit()
    assert [len(model.members), len(trained[0])] == [2, 6]
    mean, _ = model.bind(DATA.table).member_outputs(DATA.batch)
    assert not torch.allclose(mean[0], mean[1], atol=1e-3)
    hidden = parts_of(DATA, 2, SETTINGS.holdout, seed=0).calibrates
    parts = []
    for judge, rows in zip((trained[0][2:4], trained[0][4:]), hidden, strict=True):
        network = replace(model, members=judge, calibration=Calibration(1.0, 1.0, 1.0, 1.645, ""))
        parts.append(network.bind(DATA.table).predict(DATA.batch[rows]))
    said = together(parts)
    target = torch.cat([DATA.target[rows] for rows in hidden])
    expected = fit_calibration(target, said.mean.double(), said.epistemic.double(), said.aleatoric.double())
    assert replace(model.calibration, zone_factors=()) == expected


def test_every_network_starts_elsewhere_with_every_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[Tensor] = []

    def watched(members: Members, *given: Any) -> Members:
        starts.append(members.parameters["graphs.readout.weight"].detach().clone())
        return train_on_property(members, *given)

    monkeypatch.setattr("surrogates.law_training.train_on_property", watched)
    for seed in (0, 1):
        fit(seed=seed)
    all_starts = torch.cat(starts).flatten(1)
    assert len(all_starts.unique(dim=0)) == len(all_starts) == 12


@pytest.mark.parametrize("law", ["arrhenius", "log", "none"])
def test_every_law_can_be_fitted(law: str) -> None:
    said = says(fit_law_ensemble(DATA, ROWS, settings_of(law), seed=0))
    assert all(getattr(said, part).isfinite().all() for part in PARTS)
    assert not torch.equal(said.mean, says(small_law_ensemble()).mean)


def test_molecules_that_nobody_measured_can_be_asked_for() -> None:
    strange = [Component.of("Clc1ccccc1Cl"), Component.of("CC[n+]1ccn(C)c1.F[B-](F)(F)F")]
    table, batch = tabulate(
        [[one] for one in strange], [[1.0]] * 2, [[s] for s in SALTS], [[1.0]] * 2, [298.15] * 2
    )
    said = small_law_ensemble().bind(table).predict(batch)
    assert said.mean.isfinite().all()
    assert said.mean[0] != said.mean[1]
    assert not said.in_domain.any()


def test_salts_of_any_ions_and_ionic_liquids_are_fitted() -> None:
    liquid = Component.of("CC[n+]1ccn(C)c1.F[B-](F)(F)F")
    odd = [Component.of("[F-].[F-].[Li+].[Na+]"), Component.of("[Li]Br"), SALTS[0]]
    table, batch = tabulate(
        [[liquid, SOLVENTS[0]]] * 30,
        [[0.02 * (i + 1), 1 - 0.02 * (i + 1)] for i in range(30)],
        [[odd[i % 3]] for i in range(30)],
        [[1.0]] * 30,
        [250.0 + 3 * i for i in range(30)],
    )
    frame = mixture_rows(table, batch, range(30), torch.zeros(30, dtype=torch.bool).numpy())
    data = replace(DATA, table=table, batch=batch, target=DATA.target[:30], rows=frame)
    said = says(fit_law_ensemble(data, torch.arange(30), SETTINGS, seed=0), data)
    assert said.mean.isfinite().all()


def test_colder_than_all_training_rows_it_still_says_a_number() -> None:
    cold = replace(DATA.batch[:1], temperature_K=torch.tensor([10.0], dtype=torch.float64))
    predictor = small_law_ensemble().bind(DATA.table)
    said = predictor.predict(cold)
    assert said.mean.isfinite().all()
    assert said.mean < predictor.predict(DATA.batch[:1]).mean
    assert not said.in_domain.any()


def test_progress_is_told_of_every_epoch() -> None:
    told: list[tuple[int, int]] = []
    fit_law_ensemble(DATA, ROWS, SETTINGS, 0, lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]


def refusal(data: MixtureData = DATA, rows: Tensor = ROWS, settings: LawSettings = SETTINGS) -> str:
    with pytest.raises(InputError) as caught:
        fit_law_ensemble(data, rows, settings, seed=0)
    return str(caught.value)


def test_what_cannot_be_fitted_is_refused() -> None:
    assert refusal(replace(DATA, target_name="viscosity_mPas")) == (
        'key "target": viscosity_mPas is no logarithm; the laws of diffmix are of log10 of a property '
        "above 0. Give a target that begins with log10_, or write encoder: molsets."
    )
    assert refusal(settings=replace(SETTINGS, members=1)) == (
        "members: 1 given; one member cannot differ from itself, so 2 or more are needed. Use 5, the default."
    )
    assert refusal(rows=ROWS[:19]) == (
        "mixtures.csv: 19 rows to train on; at least 20 are needed. Add measurements."
    )
