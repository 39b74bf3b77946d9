"""A model directory of excess properties: written, read again, and refused where it is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from surrogates.blends import BlendBatch
from surrogates.encoders.diffmix import GraphSettings
from surrogates.encoders.diffmix_excess import DiffMixExcessSettings
from surrogates.errors import InputError
from surrogates.excess_models import (
    ExcessCard,
    ExcessDomain,
    ExcessEnsemble,
    load_excess_model,
    save_excess_model,
)
from surrogates.excess_training import ExcessSettings, fit_excess, predict
from surrogates.molecules import Component, MoleculeTable
from tests.synthetic_excess import SMILES, excess

DATA = excess()
SETTINGS = ExcessSettings(
    members=2,
    steps=3,
    network=DiffMixExcessSettings(
        order=3, graph=GraphSettings(hidden=8, molecule=4, dropout=0.0), pair=(8,), pooled=4, mix=(8,)
    ),
)


def fitted(order: int | None) -> tuple[ExcessEnsemble, ExcessCard]:
    settings = replace(SETTINGS, network=replace(SETTINGS.network, order=order))
    ensemble = fit_excess(DATA, torch.arange(40), torch.arange(40, 60), settings, seed=0)
    card = ExcessCard(
        target=ensemble.target,
        scale=ensemble.scale,
        network=settings.network,
        members=2,
        calibration=ensemble.calibration,
        domain=ensemble.domain,
        data={"source": "made"},
        seed=0,
        versions={},
        scores=(),
    )
    return ensemble, card


@pytest.mark.parametrize("order", [None, 3])
def test_what_is_saved_says_the_same_when_it_is_loaded(order: int | None, tmp_path: Path) -> None:
    ensemble, card = fitted(order)
    save_excess_model(ensemble, card, tmp_path / "model")
    loaded = load_excess_model(tmp_path / "model")
    one, other = predict(ensemble, DATA), predict(loaded, DATA)
    assert torch.equal(one.mean, other.mean) and torch.equal(one.std, other.std)
    assert torch.equal(one.in_domain, other.in_domain)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["card.json", "model.safetensors"]


def test_mixtures_of_three_are_predicted(tmp_path: Path) -> None:
    ensemble, _ = fitted(3)
    molecules, x = torch.tensor([[0, 1, 2], [2, 0, 1]]), torch.tensor([[0.2, 0.3, 0.5], [0.5, 0.2, 0.3]])
    found = ensemble.predict(DATA.table, molecules, x, torch.full((2,), 298.15))
    torch.testing.assert_close(found.mean[0], found.mean[1])
    assert bool((found.std > 0).all())


def test_a_mixture_is_known_if_all_its_pairs_and_its_temperature_are() -> None:
    table = MoleculeTable.build([Component.of(smiles) for smiles in (*SMILES, "CO")])
    domain = ExcessDomain((("CCO", "O"), ("CCO", "CO")), (293.15, 303.15))
    molecules = torch.tensor([[0, 1], [1, 0], [0, 0], [1, 5], [0, 1], [0, 1], [1, 4]])
    x = torch.tensor([[0.5, 0.5], [0.1, 0.9], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [1.0, 0.0]])
    t = torch.tensor([298.15, 292.9, 298.15, 298.15, 310.0, 290.0, 298.15])
    known = domain.holds(table, BlendBatch.of(molecules, x, t))
    assert known.tolist() == [True, True, True, False, False, False, True]


def test_the_domain_of_measurements() -> None:
    domain = ExcessDomain.of(DATA.take(torch.arange(20)))
    assert domain == ExcessDomain((("CC1COC(=O)O1", "CCO"), ("CCO", "O")), (298.15, 298.15))


def test_a_damaged_directory_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "model"
    save_excess_model(*fitted(3), directory)
    weights = directory / "model.safetensors"
    mend = "Give a directory that `activelearn train` wrote, or train the model again."

    def refused() -> str:
        with pytest.raises(InputError) as caught:
            load_excess_model(directory)
        return str(caught.value)

    tensors = load_file(weights)
    save_file({**tensors, "floor": torch.full_like(tensors["floor"], torch.nan)}, weights)
    assert refused() == (
        f"{weights}: cannot be read as part of a model: floor holds a number that is not finite. {mend}"
    )
    save_file({**tensors, "floor": torch.zeros(3)}, weights)
    assert refused() == f"{weights}: cannot be read as part of a model: floor is (3,), not (2,). {mend}"
    save_file({name: tensor for name, tensor in tensors.items() if name != "floor"}, weights)
    assert refused() == f"{weights}: cannot be read as part of a model: there is no tensor 'floor'. {mend}"
    weights.unlink()
    assert refused() == f"{weights}: cannot be read as part of a model: No such file or directory. {mend}"
    (directory / "card.json").write_text("{}", encoding="utf-8")
    assert refused().startswith(
        f"{directory / 'card.json'}: cannot be read as part of a model: target: Field"
    )
