"""A fitted ensemble is told of new rows: it moves towards them and keeps what it knew."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from surrogates.ensemble import MixtureEnsemble
from surrogates.ensemble_update import update_ensemble
from surrogates.errors import InputError
from surrogates.law_ensemble import LawEnsemble
from surrogates.mixture_data import MixtureData
from tests.synthetic_gps import judged


def _case(encoder: str) -> tuple[MixtureEnsemble | LawEnsemble, MixtureData, MixtureData]:
    """Return a fitted ensemble, the rows it knows, and three of them that read two spreads higher."""
    pair = judged(encoder)
    new = pair.data.take(torch.tensor([0, 20, 40]))
    return pair.calibrated(), pair.data, replace(new, target=new.target + 2 * pair.model.scale)


@pytest.mark.parametrize("encoder", ["molsets", "diffmix"])
def test_new_rows_are_learnt_and_old_ones_are_not_forgotten(encoder: str) -> None:
    ensemble, known, new = _case(encoder)
    other = known.take(torch.tensor([i for i in range(60) if i not in (0, 20, 40)]))
    updated = update_ensemble(ensemble, other, new)

    def error(model: MixtureEnsemble | LawEnsemble, data: MixtureData) -> float:
        return float((model.bind(data.table).predict(data.batch).mean - data.target).abs().mean())

    assert error(updated, new) < error(ensemble, new)
    assert error(updated, other) < error(ensemble, other) + 0.3 * ensemble.scale
    assert updated.calibration == ensemble.calibration


@pytest.mark.parametrize("encoder", ["molsets", "diffmix"])
def test_molecules_keep_their_embedding_and_members_differ(encoder: str) -> None:
    ensemble, known, new = _case(encoder)
    before, after = ensemble.members, update_ensemble(ensemble, known, new).members
    moved = {
        name for name, tensor in after.parameters.items() if not torch.equal(tensor, before.parameters[name])
    }
    graphs = {
        name for name in before.parameters if name.startswith(("convolutions", "norms", "readout", "graphs"))
    }
    assert graphs and moved and not graphs & moved
    for name in moved:
        step = after.parameters[name] - before.parameters[name]
        assert not torch.equal(step[0], step[1])


def test_the_old_ensemble_stays_as_it_was_and_a_seed_gives_the_same_numbers() -> None:
    ensemble, known, new = _case("molsets")
    before = ensemble.members.sha256()
    one, two, other = (update_ensemble(ensemble, known, new, seed).members.sha256() for seed in (1, 1, 2))
    assert ensemble.members.sha256() == before
    assert one == two != other


def test_another_target_is_refused() -> None:
    ensemble, known, new = _case("molsets")
    with pytest.raises(InputError) as refused:
        update_ensemble(ensemble, known, replace(new, target_name="density_g_cm3"))
    assert str(refused.value) == (
        "mixtures.csv: density_g_cm3 was measured, but the model predicts y. Give measurements of y."
    )
