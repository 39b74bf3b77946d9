"""Mixtures that nobody measured, near those that somebody did, and trees that label them.

On some thousand rows extremely randomised trees interpolate better than a network and extrapolate worse.
So trees, fitted to the training rows alone, label new mixtures between them, and the members learn from
these beside the measurements: distillation, after Hinton et al. (2015) and Gong et al. (BAMBOO, 2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from surrogates.batches import MixtureBatch

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesRegressor

_MOLALITY_SPREAD = 0.5
"""Standard deviation of the change in the natural logarithm of a molality."""
_WIDTHS = (8, 15, 25)
"""Principal components of a molecule that each forest sees. On few inputs molality and chain length, on
which conductivity depends most, are tried at more of the splits than among a thousand descriptors."""
_TREES = 100


@dataclass(frozen=True)
class Teacher:
    """Three forests of extremely randomised trees; their mean is the label.

    Attributes:
        features: `u x width` (`MoleculeFeatures.of`), of the molecules that batches point into.
        forests: Each with the number of principal components that it sees.
    """

    features: Tensor
    forests: tuple[tuple[int, ExtraTreesRegressor], ...]

    @staticmethod
    def fit(features: Tensor, batch: MixtureBatch, target: Tensor, seed: int) -> Teacher:
        """Fit to measured mixtures.

        Args:
            features: `u x width`, of the molecules, principal components first (`MoleculeFeatures.of`).
            batch: `n` mixtures.
            target: `n`, what was measured.
            seed: Of the trees.

        Source: Geurts et al., Mach. Learn. 63, 3 (2006).
        """
        from sklearn.ensemble import ExtraTreesRegressor  # a screen, which fits nothing, need not wait for it

        return Teacher(
            features,
            tuple(
                (
                    width,
                    ExtraTreesRegressor(_TREES, random_state=seed, n_jobs=-1).fit(
                        _inputs(features, batch, width), target.numpy()
                    ),
                )
                for width in _WIDTHS
            ),
        )

    def label(self, batch: MixtureBatch) -> Tensor:
        """Return the label of each mixture, `n`, float32, in the target's unit."""
        said = [forest.predict(_inputs(self.features, batch, width)) for width, forest in self.forests]
        return torch.from_numpy(np.mean(said, axis=0)).float()


def _inputs(features: Tensor, batch: MixtureBatch, width: int) -> NDArray[np.float64]:
    """Return the first principal components, chain length and kind of solvents and salts, and conditions."""
    used = torch.cat([features[:, :-2][:, :width], features[:, -2:]], dim=1).double()
    solvents = (batch.fractions().double()[..., None] * used[batch.solvents]).sum(1)
    salts = (batch.salt_shares().double()[..., None] * used[batch.salts]).sum(1)
    conditions = torch.stack([batch.molality.sum(1), batch.temperature_K], dim=1).double()
    return torch.cat([solvents, salts, conditions], dim=1).numpy()


def nearby_mixtures(batch: MixtureBatch, number: int, seed: int) -> tuple[MixtureBatch, Tensor]:
    """Return new mixtures, each a row of `batch` with something changed.

    Of all, 40 % have their molality changed, 30 % another row's salt, 30 % another row's molality and
    temperature; half have their solvents' fractions drawn anew.

    Args:
        batch: `n` mixtures of one salt each to start from.
        number: How many are returned.
        seed: Of the draw.

    Returns:
        The mixtures, and `number x 2`, int64, the two rows of `batch` that each is made of.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        return torch.rand(number, generator=generator, dtype=torch.float64)

    one, other = (torch.randint(len(batch), (number,), generator=generator) for _ in range(2))
    change, redraw = draw()[:, None], draw()[:, None]
    moved = batch.molality[one] * torch.exp(
        _MOLALITY_SPREAD * torch.randn(number, 1, generator=generator, dtype=torch.float64)
    )
    molality = torch.where(change < 0.4, moved, batch.molality[one])
    salts = torch.where((change >= 0.4) & (change < 0.7), batch.salts[other], batch.salts[one])
    swaps = change >= 0.7
    molality = torch.where(swaps, batch.molality[other], molality)
    temperature = torch.where(swaps[:, 0], batch.temperature_K[other], batch.temperature_K[one])
    fractions = batch.fractions()[one]
    uniform = torch.rand(fractions.shape, generator=generator, dtype=torch.float64).clamp_min(1e-12)
    drawn = -uniform.log() * (fractions > 0)  # exponentials over their sum are uniform on the simplex
    drawn = drawn / drawn.sum(-1, keepdim=True)
    weights = torch.where(redraw < 0.5, drawn, fractions)
    made = MixtureBatch(batch.solvents[one], weights, salts, molality, temperature)
    return made, torch.stack([one, other], dim=1)
