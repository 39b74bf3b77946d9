"""The ensemble end to end on a small data set: what it says, whence it may learn, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from surrogates.encoders.molsets import MolSets
from surrogates.ensemble import (
    EnsembleSettings,
    MixtureEnsemble,
    OccasionalEmbedding,
    check_ensemble_trainable,
    fit_ensemble,
)
from surrogates.errors import InputError
from surrogates.features import MoleculeFeatures
from surrogates.members import Members
from surrogates.mixture_data import MixtureData, tabulate
from surrogates.molecules import Component
from surrogates.prediction import Prediction
from surrogates.training import TrainingSettings
from tests.synthetic_mixtures import SALTS, SETTINGS, SOLVENTS, small_ensemble, synthetic_data

DATA = synthetic_data()
BATCH = DATA.batch.to(torch.float32)
ROWS = torch.arange(60)
PARTS = ("mean", "epistemic", "aleatoric")


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surrogates.teacher._TREES", 10)


def _says(model: MixtureEnsemble, data: MixtureData = DATA) -> Prediction:
    return model.bind(data.table).predict(data.batch)


def _fit(settings: EnsembleSettings = SETTINGS, rows: Tensor = ROWS, seed: int = 0) -> MixtureEnsemble:
    return fit_ensemble(DATA, rows, settings, seed)


def test_the_law_behind_the_data_is_learnt() -> None:
    training = TrainingSettings(epochs=60, batch_size=32, learning_rate=0.01)
    data = synthetic_data(300)
    model = fit_ensemble(data, torch.arange(240), replace(SETTINGS, training=training, taught=200), seed=0)
    said = model.bind(data.table).predict(data.batch[240:])
    error = (said.mean - data.target[240:]).abs()
    assert error.mean() < 0.3 * (data.target[240:] - data.target[:240].mean()).abs().mean()
    covered = (error <= model.calibration.interval_factor * said.std).double().mean()
    assert 0.75 <= covered <= 1


def test_a_seed_gives_the_same_numbers() -> None:
    one, two, other = (_says(_fit(seed=seed)) for seed in (0, 0, 1))
    assert all(torch.equal(getattr(one, part), getattr(two, part)) for part in PARTS)
    assert not torch.equal(one.mean, other.mean)


def test_rows_that_are_held_back_have_no_say() -> None:
    rows = torch.arange(0, 60, 2)
    before = _says(_fit(rows=rows))
    changed = replace(DATA, target=DATA.target.clone())
    changed.target[1::2] = 1e6
    after = _says(fit_ensemble(changed, rows, SETTINGS, seed=0))
    assert all(torch.equal(getattr(before, part), getattr(after, part)) for part in PARTS)


@pytest.mark.parametrize(
    ("factor", "shift", "taught"),
    [(1024.0, 0.0, 20), (1000.0, 500.0, 0)],
    ids=["a power of two, with trees", "any, without"],  # rounding decides between equal splits of a tree
)
def test_the_numbers_are_in_the_targets_unit(factor: float, shift: float, taught: int) -> None:
    settings = replace(SETTINGS, taught=taught)
    stretched = replace(DATA, target=factor * DATA.target + shift)
    with_scale = _says(fit_ensemble(stretched, ROWS, settings, seed=0))
    plain = _says(_fit(settings))
    torch.testing.assert_close(with_scale.mean, factor * plain.mean + shift, rtol=1e-2, atol=10)
    torch.testing.assert_close(with_scale.aleatoric, factor**2 * plain.aleatoric, rtol=0.05, atol=1)


def test_members_differ_more_on_molecules_that_nobody_measured() -> None:
    strange = [Component.of(smiles) for smiles in ("CCCCCCCCS(=O)(=O)CC", "Clc1ccccc1Cl", "CN1CCN(C)C1=O")]
    table, batch = tabulate([[s] for s in strange], [[0.9]] * 3, [[SALTS[0]]] * 3, [[1.0]] * 3, [298.15] * 3)
    training = TrainingSettings(epochs=40, batch_size=16, learning_rate=0.01)
    model = _fit(replace(SETTINGS, members=4, training=training))
    assert model.bind(table).predict(batch).epistemic.mean() > 2 * _says(model).epistemic.mean()


def test_a_molecule_of_the_table_that_no_mixture_holds_changes_nothing() -> None:
    wider, batch = tabulate(
        [[SOLVENTS[0]], [SOLVENTS[1]], [Component.of("c1ccccc1")]],
        [[1.0]] * 3,
        [[SALTS[0]]] * 3,
        [[1.0]] * 3,
        [298.15] * 3,
    )
    narrow, same = tabulate([[SOLVENTS[1]]], [[1.0]], [[SALTS[0]]], [[1.0]], [298.15])
    model = small_ensemble()
    one, two = model.bind(wider).predict(batch[1:2]), model.bind(narrow).predict(same)
    for part in PARTS:
        torch.testing.assert_close(getattr(one, part), getattr(two, part), rtol=1e-5, atol=1e-6)


def test_progress_is_told_of_every_epoch() -> None:
    told: list[tuple[int, int]] = []
    fit_ensemble(DATA, ROWS, SETTINGS, 0, lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_occasional_embedding_is_that_of_the_moment() -> None:
    given = MoleculeFeatures.fit(DATA.table, SETTINGS.encoder.descriptors).of(DATA.table)
    torch.manual_seed(0)
    members = Members.of([MolSets(SETTINGS.encoder, given.shape[1]) for _ in range(2)])
    learning = {name: t.detach().clone().requires_grad_() for name, t in members.parameters.items()}
    members = Members(members.network, learning, members.buffers)
    optimiser = torch.optim.AdamW(learning.values(), lr=0.05, weight_decay=0.1)
    embed = OccasionalEmbedding(DATA.table, given)
    before = None
    for step in range(1, 2 * embed.every + 3):
        with torch.no_grad():
            fresh = members.each("embed", DATA.table, given)
        learns = step % embed.every == 0
        got = embed(members)
        assert got.requires_grad == learns
        torch.testing.assert_close(got, fresh, rtol=1e-6, atol=1e-6)
        mean, _ = members.each("head", mine=(members.each("mix", BATCH, mine=(got,)),))
        optimiser.zero_grad(set_to_none=True)
        mean.square().sum().backward()
        optimiser.step()
        with torch.no_grad():
            fresh = members.each("embed", DATA.table, given)
            if step % 2 == 0:  # evaluated at some steps, as a training loop does
                torch.testing.assert_close(embed(members), fresh, rtol=1e-6, atol=1e-6)
        moved = before is not None and not torch.equal(fresh, before)
        assert moved == (learns and before is not None)
        before = fresh


def test_one_member_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        _fit(replace(SETTINGS, members=1))
    assert str(caught.value) == (
        "members: 1 given; one member cannot differ from itself, so 2 or more are needed. Use 5, the default."
    )


def test_too_few_rows_are_refused_with_all_that_is_wrong() -> None:
    with pytest.raises(InputError) as caught:
        _fit(replace(SETTINGS, members=0), torch.arange(19))
    assert str(caught.value).splitlines() == [
        "members: 0 given; one member cannot differ from itself, so 2 or more are needed. "
        "Use 5, the default.",
        "mixtures.csv: 19 rows to train on; at least 20 are needed. Add measurements.",
    ]


def test_a_target_that_never_varies_is_refused() -> None:
    flat = replace(DATA, target=torch.full((60,), 0.25, dtype=torch.float64))
    with pytest.raises(InputError) as caught:
        fit_ensemble(flat, ROWS, SETTINGS, seed=0)
    assert (
        str(caught.value) == "mixtures.csv: y is 0.25 in every row; nothing can be learnt. Check the column."
    )


def test_a_target_whose_variance_float32_cannot_hold_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        fit_ensemble(replace(DATA, target=1e-30 * DATA.target), ROWS, SETTINGS, seed=0)
    assert str(caught.value) == (
        "mixtures.csv: y varies by less than 1e-15, too little for its square. Give it in a smaller unit."
    )


def test_rows_of_no_salt_or_of_several_are_refused() -> None:
    data = synthetic_data()
    molality = torch.cat([data.batch.molality, data.batch.molality], dim=1)
    molality[3], molality[5:, 1] = 0, 0
    odd = replace(data, batch=replace(data.batch, salts=data.batch.salts.expand(-1, 2), molality=molality))
    with pytest.raises(InputError) as caught:
        fit_ensemble(odd, torch.arange(60), SETTINGS, seed=0)
    assert str(caught.value) == (
        "mixtures.csv: of 60 mixtures 1 hold no salt and 4 more than one, the first in row 2; "
        "encoder: molsets takes one salt a mixture. "
        "Write encoder: diffmix, which takes any number of salts, and none."
    )
    with pytest.raises(
        InputError, match="of 55 mixtures 1 hold no salt and 0 more than one, the first in row 5;"
    ):
        check_ensemble_trainable(odd, torch.cat([torch.arange(6, 60), torch.tensor([3])]), 2)


def test_a_salt_beside_an_unused_slot_is_one_salt() -> None:
    data, rows = synthetic_data(), torch.arange(60)
    salts = torch.cat([torch.zeros_like(data.batch.salts), data.batch.salts], dim=1)
    molality = torch.cat([torch.zeros_like(data.batch.molality), data.batch.molality], dim=1)
    wide = replace(data, batch=replace(data.batch, salts=salts, molality=molality))
    one, two = (fit_ensemble(each, rows, SETTINGS, seed=0).bind(data.table) for each in (data, wide))
    for part in PARTS:
        said, again = one.predict(data.batch), two.predict(wide.batch)
        assert torch.equal(getattr(said, part), getattr(again, part))
