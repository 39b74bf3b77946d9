"""The baseline of DiffMix: its law on fingerprints that stand one after the other, as the file has them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from surrogates.batches import MixtureBatch
from surrogates.encoders.fingerprint import morgan_fingerprints, side_by_side
from surrogates.encoders.mixture_law import MixtureLaw
from surrogates.law_ensemble import LawSettings
from surrogates.law_training import check_law_trainable, distinct_rows, train_on_property
from surrogates.members import Members
from surrogates.mixture_data import MixtureData
from surrogates.prediction import Calibration
from surrogates.species import Speciation

_BITS = 128
_HIDDEN = (64, 64)


@dataclass(frozen=True)
class FingerprintEnsemble:
    """A fitted ensemble, of mixtures of the molecules it was fitted with.

    Attributes:
        members: The `K` networks, each a `MixtureLaw`.
        speciation: Of the molecules.
        fingerprints: `u x bits`, of the species.
        slots: Which slots of `Speciation.slots` the networks read.
        calibration: What makes the variances and the interval true.
        shift: Mean of the target in training.
        scale: Standard deviation of the target in training.
    """

    members: Members
    speciation: Speciation
    fingerprints: Tensor
    slots: Tensor
    calibration: Calibration
    shift: float
    scale: float

    @property
    def interval_factor(self) -> float:
        """Standard deviations on either side of the mean that hold 90 % of measurements."""
        return self.calibration.interval_factor

    def predict(self, batch: MixtureBatch) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of a measurement, `n` each, in the target's unit.

        Args:
            batch: `n` mixtures of the molecules it was fitted with.
        """
        with torch.no_grad():
            inputs = _inputs(self.speciation, self.fingerprints, self.slots, batch)
            mean, variance = self.members.each("forward", inputs)
        epistemic, aleatoric = self.calibration.apply(
            self.scale**2 * mean.var(0), self.scale**2 * variance.mean(0)
        )
        return self.shift + self.scale * mean.mean(0), (epistemic + aleatoric).sqrt()


def fit_fingerprint(data: MixtureData, rows: Tensor, settings: LawSettings, seed: int) -> FingerprintEnsemble:
    """Fit and calibrate the baseline as `fit_law_ensemble` does its networks.

    Args:
        data: Measured mixtures; the target is log10 of the property.
        rows: Indices of those to learn from; no other row is looked at.
        settings: Of the law ensemble beside which it stands; the encoder's sizes have no part in it.
        seed: Of starting weights, held-out parts and order of rows.

    Raises:
        InputError: As `fit_law_ensemble` does.
    """
    from surrogates.calibration import fit_calibration
    from surrogates.calibration_rows import JUDGES, parts_of

    check_law_trainable(data, rows, settings.members)
    table = data.table
    kept = rows[distinct_rows(data, rows)]
    # Not `take`: the table stays whole, for molecules that only rows of a test hold.
    data = replace(
        data,
        batch=data.batch[kept],
        target=data.target[kept],
        rows=data.rows.iloc[kept.numpy()].reset_index(drop=True),
    )
    speciation = Speciation.of(table.components)
    fingerprints = morgan_fingerprints(speciation.table, _BITS)
    slots = speciation.used_slots(data.batch)
    inputs = _inputs(speciation, fingerprints, slots, data.batch)
    parts = parts_of(data, settings.members, settings.holdout, seed)
    torch.manual_seed(seed)
    networks = [
        MixtureLaw(settings.encoder.law, inputs.shape[1] - 1, _HIDDEN)
        for _ in range((1 + JUDGES) * settings.members)
    ]
    for network in networks:
        network.standardise(data.batch.temperature_K, data.target)

    def outputs(learner: Members, rows: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = learner.each("forward", inputs[rows])
        return mean, variance

    trained = train_on_property(
        Members.of(networks), outputs, data.target, parts.trains, parts.validates, settings.training, seed
    )
    count = settings.members
    shift, scale = float(data.target.mean()), float(data.target.std())
    said = []
    for number, hidden in enumerate(parts.calibrates, 1):
        judge = trained[number * count : (number + 1) * count]
        with torch.no_grad():
            mean, variance = (part.double() for part in judge.each("forward", inputs[hidden]))
        said.append(torch.stack([mean.mean(0), mean.var(0), variance.mean(0)]))
    mean, epistemic, aleatoric = torch.cat(said, dim=1)
    target = torch.cat([data.target[hidden] for hidden in parts.calibrates])
    calibration = fit_calibration(target, shift + scale * mean, scale**2 * epistemic, scale**2 * aleatoric)
    return FingerprintEnsemble(trained[:count], speciation, fingerprints, slots, calibration, shift, scale)


def _inputs(speciation: Speciation, fingerprints: Tensor, slots: Tensor, batch: MixtureBatch) -> Tensor:
    """Return fingerprints and mole fractions of solvents, cation and anion by slot, and the temperature."""
    species, x = (parts[:, slots] for parts in speciation.slots(batch.to(torch.float32)))
    return torch.cat([side_by_side(fingerprints, species, x), batch.temperature_K[:, None].float()], dim=-1)
