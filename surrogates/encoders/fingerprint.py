"""MixECFP: the Morgan fingerprints of a mixture's components, one after the other, through a perceptron.

A baseline. What it says depends on the order in which components stand, which no mixture's property does.

Source: the baseline of Zhu et al., Nat. Commun. 15, 8649 (2024); fingerprints of Rogers and Hahn, J. Chem.
Inf. Model. 50, 742 (2010). Radius, bits and widths are choices made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from rdkit.Chem import rdFingerprintGenerator
from torch import Tensor, nn

from surrogates.molecules import MoleculeTable, parse_smiles


@dataclass(frozen=True)
class FingerprintSettings:
    """Shape of a `MixFingerprint`.

    Attributes:
        slots: Components a mixture may have, absent ones included.
        bits: Length of a component's fingerprint.
        hidden: Widths of the hidden layers.
        targets: Properties, or coefficients of a law, that leave.
    """

    slots: int
    bits: int = 256
    hidden: tuple[int, ...] = (128, 64)
    targets: int = 1


def morgan_fingerprints(table: MoleculeTable, bits: int, radius: int = 2) -> Tensor:
    """Return the Morgan fingerprint of each component, `u x bits`, float32, 0 or 1.

    Args:
        table: The `u` components.
        bits: Length; environments that fall on the same bit are not told apart.
        radius: Bonds from the centre to the edge of an environment.
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
    rows = [generator.GetFingerprintAsNumPy(parse_smiles(c.smiles)) for c in table.components]
    return torch.stack([torch.from_numpy(row) for row in rows]).float()


def side_by_side(fingerprints: Tensor, components: Tensor, x: Tensor) -> Tensor:
    """Return fingerprints and mole fractions by slot, `n x (slots (bits + 1))`; an absent component is all 0.

    Args:
        fingerprints: `u x bits`, from `morgan_fingerprints`.
        components: `n x slots`, int64, rows of `fingerprints`; any row where `x` is 0.
        x: `n x slots`, mole fractions; 0 in unused slots.
    """
    present = (x > 0).to(fingerprints).unsqueeze(-1)
    known = torch.cat([fingerprints[components] * present, x.to(fingerprints).unsqueeze(-1)], dim=-1)
    return known.flatten(-2)


class MixFingerprint(nn.Module):
    """Fingerprints and mole fractions, concatenated by slot, then a perceptron with ReLU."""

    def __init__(self, settings: FingerprintSettings) -> None:
        super().__init__()
        widths = [settings.slots * (settings.bits + 1), *settings.hidden]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.out = nn.Linear(widths[-1], settings.targets)

    def mix(self, fingerprints: Tensor, components: Tensor, x: Tensor) -> Tensor:
        """Return what the perceptron reads; see `side_by_side`."""
        return side_by_side(fingerprints, components, x)

    def head(self, mixed: Tensor) -> Tensor:
        """Return `n x targets` from what `mix` returns."""
        for layer in self.layers:
            mixed = torch.relu(layer(mixed))
        out: Tensor = self.out(mixed)
        return out

    def forward(self, fingerprints: Tensor, components: Tensor, x: Tensor) -> Tensor:
        """Return `n x targets`."""
        return self.head(self.mix(fingerprints, components, x))
