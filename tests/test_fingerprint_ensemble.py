"""The fingerprint baseline: what it reads, that order matters to it, and whence it may learn."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.calibration import fit_calibration
from surrogates.calibration_rows import parts_of
from surrogates.encoders.fingerprint import morgan_fingerprints
from surrogates.errors import InputError
from surrogates.fingerprint_ensemble import FingerprintEnsemble, fit_fingerprint
from surrogates.law_ensemble import LawSettings
from surrogates.law_training import train_on_property
from surrogates.members import Members
from surrogates.mixture_data import MixtureData
from surrogates.molecules import Component, MoleculeTable
from surrogates.prediction import Calibration
from surrogates.species import Speciation
from surrogates.training import TrainingSettings
from tests.synthetic_laws import SETTINGS, settings_of, vft_data
from tests.synthetic_mixtures import SOLVENTS

DATA = vft_data()
ROWS = torch.arange(60)


def fit(
    data: MixtureData = DATA, rows: Tensor = ROWS, settings: LawSettings = SETTINGS, seed: int = 0
) -> FingerprintEnsemble:
    return fit_fingerprint(data, rows, settings, seed)


@cache
def fitted() -> FingerprintEnsemble:
    return fit()


def same(one: FingerprintEnsemble, other: FingerprintEnsemble) -> bool:
    return all(map(torch.equal, one.predict(DATA.batch), other.predict(DATA.batch)))


def test_it_reads_fingerprints_and_fractions_of_solvents_cation_and_anion() -> None:
    model, n = fitted(), 5
    batch = DATA.batch[n : n + 1]
    speciation = Speciation.of(DATA.table.components)
    bits = morgan_fingerprints(speciation.table, 128)
    assert torch.equal(model.fingerprints, bits)
    smiles = [component.smiles for component in speciation.table.components]
    x = speciation.split(batch.to(torch.float32)).x[0]
    salt = DATA.table.components[int(batch.salts)].smiles.split(".")
    species = [DATA.table.components[i].smiles for i in batch.solvents[0].tolist()]
    species += sorted(salt, key=lambda ion: "+" not in ion)
    columns = [torch.cat([bits[smiles.index(one)], x[smiles.index(one)][None]]) for one in species]
    read = torch.cat([*columns, batch.temperature_K.float()])[None]
    mean, variance = model.members.each("forward", read)
    got = model.predict(batch)
    torch.testing.assert_close(got[0], model.shift + model.scale * mean.mean(0))
    epistemic, aleatoric = model.calibration.apply(
        model.scale**2 * mean.var(0), model.scale**2 * variance.mean(0)
    )
    torch.testing.assert_close(got[1], (epistemic + aleatoric).sqrt())


def test_the_order_of_components_matters_to_it() -> None:
    swapped = replace(DATA.batch, solvents=DATA.batch.solvents.flip(1), weights=DATA.batch.weights.flip(1))
    assert not torch.allclose(fitted().predict(swapped)[0], fitted().predict(DATA.batch)[0], atol=1e-3)


def test_an_ionic_liquid_among_the_solvents_has_a_slot_for_each_ion() -> None:
    components = list(DATA.table.components)
    place = DATA.table.index()[SOLVENTS[1]]
    components[place] = Component.of("CC[n+]1ccn(C)c1.F[B-](F)(F)F")
    data = replace(DATA, table=MoleculeTable.build(components))
    assert len(fitted().slots) == 4
    model = fit(data)
    assert len(model.slots) == 6
    mean, std = model.predict(DATA.batch)
    assert mean.isfinite().all()
    assert (std > 0).all()


def test_what_it_has_seen_is_learnt() -> None:
    training = TrainingSettings(epochs=30, batch_size=16, learning_rate=3e-3)
    mean, std = fit(settings=replace(SETTINGS, training=training)).predict(DATA.batch)
    assert (mean - DATA.target).abs().mean() < 0.3 * (DATA.target - DATA.target.mean()).abs().mean()
    assert (std > 0).all()


def test_a_seed_gives_the_same_numbers() -> None:
    assert same(fit(), fitted())
    assert not same(fit(seed=1), fitted())


def test_the_judges_calibrate_and_are_not_among_the_members(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Members] = []

    def watched(*given: Any) -> Members:
        trained.append(train_on_property(*given))
        return trained[-1]

    monkeypatch.setattr("surrogates.fingerprint_ensemble.train_on_property", watched)
    model = fit()
    assert [len(model.members), len(trained[0])] == [2, 6]
    hidden = parts_of(DATA, 2, SETTINGS.holdout, seed=0).calibrates
    plain = Calibration(1.0, 1.0, 1.0, 1.645, "")
    said = []
    for members, rows in zip((trained[0][2:4], trained[0][4:]), hidden, strict=True):
        judge = replace(model, members=members, calibration=plain)
        mean, std = judge.predict(DATA.batch[rows])
        asked = judge.members.each("forward", _read(judge, DATA.batch[rows]))
        epistemic, aleatoric = judge.scale**2 * asked[0].var(0), judge.scale**2 * asked[1].mean(0)
        torch.testing.assert_close(std, (epistemic + aleatoric).sqrt())
        said.append(torch.stack([DATA.target[rows], mean.double(), epistemic.double(), aleatoric.double()]))
    expected = fit_calibration(*torch.cat(said, dim=1))
    assert model.calibration.interval_factor == pytest.approx(expected.interval_factor, rel=1e-3)
    assert model.calibration.aleatoric_scale == pytest.approx(expected.aleatoric_scale, rel=1e-3)


def _read(model: FingerprintEnsemble, batch: MixtureBatch) -> Tensor:
    species, x = (part[:, model.slots] for part in model.speciation.slots(batch.to(torch.float32)))
    known = torch.cat([model.fingerprints[species] * (x > 0)[..., None], x[..., None]], dim=-1)
    return torch.cat([known.flatten(1), batch.temperature_K[:, None].float()], dim=1)


def test_rows_that_are_held_back_have_no_say() -> None:
    rows = torch.arange(0, 60, 2)
    changed = replace(DATA, target=DATA.target.clone())
    changed.target[1::2] = 9.0
    assert same(fit(rows=rows), fit(changed, rows))


def test_rows_that_say_the_same_again_count_once() -> None:
    assert same(fit(rows=torch.cat([ROWS, ROWS[:30]])), fitted())


def test_the_law_is_that_of_the_settings() -> None:
    assert fit(settings=settings_of("none")).members.network.law == "none"
    assert fitted().members.network.law == "vft"


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        fit(replace(DATA, target_name="viscosity_mPas"))
    assert str(caught.value) == (
        'key "target": viscosity_mPas is no logarithm; the laws of diffmix are of log10 of a property '
        "above 0. Give a target that begins with log10_, or write encoder: molsets."
    )
    with pytest.raises(InputError) as caught:
        fit(settings=replace(SETTINGS, members=1))
    assert str(caught.value) == (
        "members: 1 given; one member cannot differ from itself, so 2 or more are needed. Use 5, the default."
    )
