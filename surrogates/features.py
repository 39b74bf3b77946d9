"""Descriptors of molecules, scaled and reduced, as an encoder takes them beside the graphs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from surrogates.descriptors import molecule_descriptors
from surrogates.molecules import MoleculeTable, is_polymer

_CLIP = 5.0
"""Standard deviations to which a descriptor is cut: a molecule unlike all others must not rule the rest."""
_FEWEST = 3
"""Molecules in which a descriptor must differ from its median; what marks one molecule alone is noise."""
_SMALLEST_SPREAD = 1e-4
"""Of a principal component, as a share of the first's: known molecules do not vary along what is below."""


@dataclass(frozen=True)
class MoleculeFeatures:
    """What turns the `p` descriptors of a molecule into `c` principal components, fitted on known molecules.

    Attributes:
        shift: `p`, mean of each descriptor over the known molecules.
        scale: `p`, 1 / its standard deviation; 0 where it tells too few molecules from the rest.
        centre: `p`, mean of the scaled descriptors.
        components: `p x c`, principal directions over the root of their variance.
    """

    shift: Tensor
    scale: Tensor
    centre: Tensor
    components: Tensor

    @property
    def width(self) -> int:
        """Number of features of a molecule: components, log10 molar mass, polymer or not."""
        return self.components.shape[1] + 2

    @staticmethod
    def fit(table: MoleculeTable, components: int, seed: int = 0) -> MoleculeFeatures:
        """Fit on the distinct SMILES of a table.

        Args:
            table: The known molecules. A polymer counts once, whatever the length of its chains.
            components: Number of principal components; fewer if the molecules vary in fewer directions.
            seed: Of the randomised decomposition.
        """
        from sklearn.decomposition import PCA  # a screen, which fits nothing, need not wait for it

        first = {component.smiles: row for row, component in enumerate(table.components)}
        values = molecule_descriptors(table).values[sorted(first.values())]
        shift, std = values.mean(0), values.std(0, correction=0)
        tells = (values != values.median(0).values).sum(0) >= _FEWEST
        scale = torch.where(tells & (std > 1e-9), 1 / std.clamp_min(1e-9), 0.0)
        scaled = ((values - shift) * scale).clamp(-_CLIP, _CLIP)
        with np.errstate(invalid="ignore"):  # of three molecules or fewer, none of which is told apart
            pca = PCA(min(components, *scaled.shape), random_state=seed).fit(scaled.numpy())
        spread = torch.from_numpy(pca.explained_variance_).sqrt()
        varies = spread > _SMALLEST_SPREAD * spread[0]
        directions = torch.from_numpy(pca.components_)[varies] / spread[varies, None]
        return MoleculeFeatures(
            shift.float(),
            scale.float(),
            torch.from_numpy(pca.mean_).float(),
            directions.T.contiguous().float(),
        )

    def of(self, table: MoleculeTable) -> Tensor:
        """Return the features of the `u` molecules of a table, `u x width`, float32."""
        values = molecule_descriptors(table).values.float()
        scaled = ((values - self.shift) * self.scale).clamp(-_CLIP, _CLIP)
        polymer = torch.tensor([float(is_polymer(component.smiles)) for component in table.components])
        columns = ((scaled - self.centre) @ self.components, table.log_molar_mass[:, None], polymer[:, None])
        return torch.cat(columns, dim=-1)
