"""A student learns what its ensemble says, and how far it is from it is counted right."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from activelearn.spaces import MixtureSpace
from surrogates.batches import MixtureBatch
from surrogates.errors import InputError
from surrogates.molecules import MoleculeTable
from surrogates.prediction import Prediction
from surrogates.student_training import StudentSettings, compare, student_settings, teach
from surrogates.training import TrainingSettings
from tests import synthetic_laws, synthetic_mixtures
from tests.synthetic_students import (
    ENSEMBLES,
    SPACE,
    TAUGHT,
    TEACHING,
    ensemble_of,
    parts,
    settings_of,
    small_student,
)

SHORT = TrainingSettings(epochs=1, batch_size=16)


@pytest.mark.parametrize(
    ("encoder", "mean_error", "epistemic"), [("molsets", 0.05, 0.0), ("diffmix", 0.004, 0.2)]
)
def test_a_student_says_of_fresh_candidates_what_its_ensemble_says(
    encoder: str, mean_error: float, epistemic: float
) -> None:
    # After one step, not 400, the means are 1.07 and 0.006 off and a correlation of either is below 0.
    taught, fresh = parts()
    assert not set(taught.tolist()) & set(fresh.tolist())
    errors = compare(small_student(encoder), ensemble_of(encoder), SPACE.table, SPACE.at(fresh))
    assert errors.fresh == 400
    assert errors.mean_error < mean_error
    assert errors.std_spearman is not None and errors.std_spearman > 0.8
    assert errors.epistemic_spearman is not None and errors.epistemic_spearman > epistemic
    assert errors.aleatoric_spearman is not None and errors.aleatoric_spearman > 0.8


@pytest.mark.parametrize("encoder", ENSEMBLES)
def test_molecules_are_embedded_as_the_first_member_does(encoder: str) -> None:
    first = ensemble_of(encoder).members[:1].state()
    own = small_student(encoder).network.members.state()
    embeds = ("convolutions.", "norms.", "readout.", "graphs.")
    learnt = {name for name, tensor in own.items() if not torch.equal(tensor, first[name])}
    kept = {name for name in own if name.startswith(embeds)}
    assert kept
    assert not kept & learnt
    buffers = set(small_student(encoder).network.members.buffers)
    assert learnt == set(own) - kept - buffers


def test_the_same_seed_gives_the_same_student_and_another_another() -> None:
    ensemble, settings = ensemble_of("molsets"), replace(settings_of("molsets"), training=SHORT)
    batch = SPACE.at(torch.arange(200))
    hashes = [
        teach(ensemble, settings, TAUGHT, SPACE.table, batch, seed).network.members.sha256()
        for seed in (0, 0, 1)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_student_is_one_network_with_half_the_first_layer() -> None:
    settings = student_settings(synthetic_mixtures.SETTINGS, SHORT)
    assert settings.encoder == replace(synthetic_mixtures.ENCODER, head=(8, 8))
    assert (settings.members, settings.holdout, settings.training) == (1, 0.0, SHORT)
    law = student_settings(synthetic_laws.SETTINGS, SHORT)
    assert law.encoder == synthetic_laws.ENCODER
    assert (law.members, law.holdout, law.training) == (1, 0.0, SHORT)


@pytest.mark.parametrize(("candidates", "size", "epochs"), [(1760, 256, 67), (256, 256, 400), (99, 99, 400)])
def test_steps_are_the_same_whatever_the_space(candidates: int, size: int, epochs: int) -> None:
    training = TEACHING.training(candidates)
    assert (training.batch_size, training.epochs) == (size, epochs)
    assert training.learning_rate == 1e-2
    assert StudentSettings().training(9072).weight_decay == 1e-2


def test_nothing_is_learnt_where_the_ensemble_says_one_thing() -> None:
    space = MixtureSpace(
        {"EC": synthetic_mixtures.SOLVENTS[0]},
        {"LiPF6": synthetic_mixtures.SALTS[0]},
        (1,),
        temperature_K=tuple(range(200, 400)),
    )  # to a MolSets model of one temperature all are one candidate
    with pytest.raises(InputError) as refused:
        teach(ensemble_of("molsets"), settings_of("molsets"), TAUGHT, space.table, space[:].expand(), seed=0)
    assert str(refused.value) == (
        "space: the ensemble says the same of all candidates; there is nothing to learn. "
        "Give a space over which the model's prediction varies."
    )


@dataclass(frozen=True)
class Told:
    """A model that says what it is told."""

    mean: Tensor
    epistemic: Tensor
    aleatoric: Tensor
    scale: float = 2.0

    def bind(self, table: MoleculeTable) -> Told:
        return self

    def predict(self, batch: MixtureBatch) -> Prediction:
        one = torch.ones(len(batch))
        return Prediction(self.mean, self.epistemic, self.aleatoric, one > 0, one)


def test_errors_are_counted_by_hand() -> None:
    theirs = Told(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 1.0, 2.0]))
    own = Told(theirs.mean + torch.tensor([0.1, -0.2, 0.0]), torch.tensor([1.0, 3.0, 2.0]), theirs.aleatoric)
    errors = compare(own, theirs, SPACE.table, SPACE.at(torch.arange(3)))
    assert errors.mean_mae == pytest.approx(0.1)
    assert errors.mean_error == pytest.approx(0.05)
    assert (errors.target_spread, errors.candidates_spread) == (2.0, 1.0)
    assert errors.epistemic_spearman == pytest.approx(0.5)
    assert errors.aleatoric_spearman == pytest.approx(1.0)
    # variances in all: the ensemble's are 4, 3, 5, the student's 4, 4, 4.5
    own = replace(own, aleatoric=torch.tensor([3.0, 1.0, 2.5]))
    errors = compare(own, theirs, SPACE.table, SPACE.at(torch.arange(3)))
    assert errors.std_spearman == pytest.approx(0.8660254)
    errors = compare(replace(own, aleatoric=torch.ones(3)), theirs, SPACE.table, SPACE.at(torch.arange(3)))
    assert errors.aleatoric_spearman is None
    assert errors.epistemic_spearman is not None
