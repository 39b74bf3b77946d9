"""A deep ensemble of DiffMix networks: a transport property over composition and temperature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from surrogates.atom_features import atom_features
from surrogates.domain import Domain
from surrogates.encoders.diffmix import DiffMix, DiffMixSettings
from surrogates.features import MoleculeFeatures
from surrogates.law_predictor import LawPredictor
from surrogates.members import Members
from surrogates.mixture_data import MixtureData
from surrogates.molecule_facts import species_facts
from surrogates.molecules import MoleculeTable
from surrogates.prediction import UNCALIBRATED, Calibration
from surrogates.species import Speciation
from surrogates.training import TrainingSettings

if TYPE_CHECKING:
    from surrogates.judged_ensemble import JudgedEnsemble

_COMPONENTS = 40
"""Of the descriptors, by which the domain is judged."""


@dataclass(frozen=True)
class LawSettings:
    """What is fitted and how.

    Attributes:
        members: Networks, at least 2.
        holdout: Share of the mixtures that each member holds out for early stopping, its own draw.
        encoder: Sizes of the network, and its law.
        training: How the members are trained; `beta` and `teacher_weight` have no part in it.
    """

    members: int = 5
    holdout: float = 0.1
    encoder: DiffMixSettings = field(default_factory=DiffMixSettings)
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            epochs=300, batch_size=512, learning_rate=4e-3, weight_decay=1e-4
        )
    )


@dataclass(frozen=True)
class LawEnsemble:
    """A fitted ensemble, for mixtures of any molecules.

    Attributes:
        members: The networks; their output is standardised.
        features: Of molecules, by which the domain is judged.
        domain: What is near enough to the training data.
        calibration: What makes the variances and the interval true.
        target: Name of the target with its unit.
        shift: Mean of the target in training.
        scale: Standard deviation of the target in training.
    """

    members: Members
    features: MoleculeFeatures
    domain: Domain
    calibration: Calibration
    target: str
    shift: float
    scale: float

    def bind(self, table: MoleculeTable) -> LawPredictor:
        """Return the predictor for mixtures of these molecules.

        Each species is embedded and each pair evaluated once, here.
        """
        speciation = Speciation.of(table.components)
        both = pairs_of(speciation.table)
        place = torch.zeros(len(speciation.table), len(speciation.table), dtype=torch.int64)
        place[both[0], both[1]] = place[both[1], both[0]] = torch.arange(both.shape[1])
        with torch.no_grad():
            embedding = self.members.each("embed", *species_inputs(speciation.table))
            species, pairs = self.members.each("parts", both, mine=(embedding,))
        return LawPredictor(
            laws=self.members.part("law"),
            species=species,
            pairs=pairs,
            place=place,
            speciation=speciation,
            domain=self.domain.bind(table, self.features),
            calibration=self.calibration,
            target=self.target,
            shift=self.shift,
            scale=self.scale,
        )


def pairs_of(table: MoleculeTable) -> Tensor:
    """Return all pairs of the species of a table in the order of `LawPredictor.place`, `2 x r`, int64."""
    return torch.triu_indices(len(table), len(table))


def species_inputs(table: MoleculeTable) -> tuple[MoleculeTable, Tensor, Tensor]:
    """Return what `DiffMix.embed` takes of the species of a table."""
    return table, atom_features(table), species_facts(table)


def fit_law_ensemble(
    data: MixtureData,
    rows: Tensor,
    settings: LawSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> LawEnsemble:
    """Fit and calibrate an ensemble.

    The variances and the intervals are calibrated by what the judges of `fit_judged_law_ensemble` say of
    what they have not seen. Rows that say the same of the same mixture at the same temperature count once.

    Args:
        data: Measured mixtures; the target is log10 of the property.
        rows: Indices of those to learn from; no other row is looked at.
        settings: What and how.
        seed: Of starting weights, held-out parts and order of rows.
        progress: Called with the epochs done and their number.

    Raises:
        InputError: For fewer than 2 members, too few rows, or a target that is no logarithm.
    """
    return fit_judged_law_ensemble(data, rows, settings, seed, progress).calibrated()


def fit_judged_law_ensemble(
    data: MixtureData,
    rows: Tensor,
    settings: LawSettings,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> JudgedEnsemble[LawEnsemble]:
    """Fit an ensemble and its judges (`calibration_rows`), of as many members each, in one loop.

    Takes and raises what `fit_law_ensemble` does.
    """
    # With SciPy and scikit-learn they take half a second that a screen, which fits nothing, need not wait.
    from surrogates.calibration_rows import JUDGES, domain_rows, parts_of
    from surrogates.judged_ensemble import JudgedEnsemble
    from surrogates.law_training import check_law_trainable, distinct_rows, train_on_property

    check_law_trainable(data, rows, settings.members)
    data = data.take(rows[distinct_rows(data, rows)])
    speciation = Speciation.of(data.table.components)
    batch = speciation.split(data.batch.to(torch.float32))
    inputs = species_inputs(speciation.table)
    count = settings.members
    parts = parts_of(data, count, settings.holdout, seed)

    torch.manual_seed(seed)  # starting weights and dropout come from the global generator
    networks = [DiffMix(settings.encoder) for _ in range((1 + JUDGES) * count)]
    for network in networks:
        network.law.standardise(data.batch.temperature_K, data.target)

    def outputs(learner: Members, rows: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = learner.each("forward", *inputs, batch[rows])
        return mean, variance

    members = Members.of(networks)
    trained = train_on_property(
        members, outputs, data.target, parts.trains, parts.validates, settings.training, seed, progress
    )
    features = MoleculeFeatures.fit(data.table, _COMPONENTS)
    ensemble = LawEnsemble(
        trained[:count],
        features,
        Domain.fit(data.table, features, data.batch, domain_rows(data, seed)),
        UNCALIBRATED,
        data.target_name,
        float(data.target.mean()),
        float(data.target.std()),
    )
    return JudgedEnsemble.of(ensemble, trained, data, parts.calibrates)
