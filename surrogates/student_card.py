"""What the card of a student says of the ensemble that it stands for, and of the space it was taught on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from surrogates.molecules import Component

_ROUNDING = 1e-9
_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class StudentErrors:
    """How far a student is from its ensemble on candidates that it was not taught.

    Attributes:
        fresh: Candidates compared.
        mean_mae: Mean absolute difference of the means, in the target's unit.
        target_spread: Standard deviation of the target in training, in its unit.
        candidates_spread: Standard deviation of the ensemble's means over the candidates, likewise.
        std_spearman: Rank correlation of the standard deviations of a measurement.
        epistemic_spearman: The same of what more data would mend.
        aleatoric_spearman: The same of what they would not.

    A correlation is `None` where one of the two says the same of all.
    """

    fresh: int
    mean_mae: float
    target_spread: float
    candidates_spread: float
    std_spearman: float | None
    epistemic_spearman: float | None
    aleatoric_spearman: float | None

    @property
    def mean_error(self) -> float:
        """Mean absolute difference of the means over the spread of the target."""
        return self.mean_mae / self.target_spread


class TaughtSpace(BaseModel):
    """The factors of a space of mixtures, without the names they are shown under.

    Attributes:
        solvents: Canonical SMILES and molar mass, g/mol, in the order of the space.
        salts: Likewise.
        solvents_per_mixture: Numbers of solvents in a mixture.
        fraction_step: Of weight fractions; None: equal fractions only.
        molality_mol_kg: mol salt per kg solvent.
        temperature_K: K.
    """

    model_config = _STRICT

    solvents: tuple[Component, ...]
    salts: tuple[Component, ...]
    solvents_per_mixture: tuple[int, ...]
    fraction_step: float | None
    molality_mol_kg: tuple[float, ...]
    temperature_K: tuple[float, ...]

    def sha256(self) -> str:
        """Return the hash of all factors."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def fractions(self) -> tuple[float, float]:
        """Lowest and highest weight fraction of a solvent that is not alone; of such a one 1 and 1."""
        several = [k for k in self.solvents_per_mixture if k > 1]
        if not several:
            return 1.0, 1.0
        if self.fraction_step is None:
            return 1 / max(several), 1 / min(several)
        return self.fraction_step, 1 - (min(several) - 1) * self.fraction_step

    def beyond(self, other: TaughtSpace) -> list[str]:
        """Return in what another space goes beyond this one, a few words each."""
        found = []
        for factor in ("solvents", "salts"):
            known = {one.smiles for one in getattr(self, factor)}
            new = sum(one.smiles not in known for one in getattr(other, factor))
            if new:
                found.append(f"{new} of its {len(getattr(other, factor))} {factor}")
        if not set(other.solvents_per_mixture) <= set(self.solvents_per_mixture):
            found.append("the number of solvents in a mixture")
        (low, high), asked_fractions = self.fractions, other.fractions
        if asked_fractions[0] < low - _ROUNDING or asked_fractions[1] > high + _ROUNDING:
            found.append("fractions")
        for factor, words in (("molality_mol_kg", "molality"), ("temperature_K", "temperature")):
            own, asked = getattr(self, factor), getattr(other, factor)
            if min(asked) < min(own) or max(asked) > max(own):
                found.append(words)
        return found


class StandsFor(BaseModel):
    """What a student stands for, and how well.

    Attributes:
        ensemble_sha256: Of the ensemble's model directory, as `run.json` has it.
        members: Of the ensemble.
        space: Whose candidates it was taught.
        space_sha256: Of the space.
        taught: Candidates.
        seed: Of the draw of candidates, starting weights and order.
        errors: On candidates of the space that it was not taught.
        rate_ratio: Candidates a second of a screen of the space over the ensemble's, as measured then.
    """

    model_config = _STRICT

    ensemble_sha256: str
    members: int
    space: TaughtSpace
    space_sha256: str
    taught: int
    seed: int
    errors: StudentErrors
    rate_ratio: float
