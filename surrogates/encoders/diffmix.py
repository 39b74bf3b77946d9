"""DiffMix: a graph network and a mixture network give the coefficients of a physics law.

Source: Zhu et al., Nat. Commun. 15, 8649 (2024): three graph convolutions a molecule with ReLU and dropout,
mean pooling; SubNet says what a species is, PairNet what two do to each other; pooled by mole fraction,
`[sum_i x_i s_i, sum_ij x_i x_j p_ij]`, they enter MixNet, whose coefficients a law turns into the property.
Widths of the networks are choices made here. Each species is embedded once, and each pair that occurs is
evaluated once, however many mixtures hold it; mixtures are sums over these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter

from surrogates.atom_features import WIDTH
from surrogates.encoders.convolutions import convolution
from surrogates.encoders.molsets_stacked import bounded_variance
from surrogates.laws import arrhenius_coefficients, vft, vft_coefficients
from surrogates.molecules import MoleculeTable
from surrogates.species import SpeciesBatch

LawName = Literal["vft", "none"]


@dataclass(frozen=True)
class GraphSettings:
    """Sizes of the graph network.

    Attributes:
        layers: Number of convolutions.
        hidden: Width of an atom.
        molecule: Width of a molecule's embedding.
        dropout: Share of an atom's channels that a training step leaves out after each convolution.
    """

    layers: int = 3
    hidden: int = 64
    molecule: int = 32
    dropout: float = 0.25


class MoleculeGraphs(nn.Module):
    """Embeds molecules: graph convolutions over their atoms, and the mean."""

    def __init__(self, settings: GraphSettings) -> None:
        super().__init__()
        widths = [WIDTH] + [settings.hidden] * settings.layers
        self.convolutions = nn.ModuleList(convolution("GraphConv", a, b) for a, b in pairwise(widths))
        self.dropout = nn.Dropout(settings.dropout)
        self.readout = nn.Linear(settings.hidden, settings.molecule)

    def forward(self, table: MoleculeTable, atoms: Tensor) -> Tensor:
        """Return `u x molecule`.

        Args:
            table: The `u` molecules.
            atoms: `a x 97`, from `atom_features`.
        """
        for layer in self.convolutions:
            atoms = self.dropout(torch.relu(layer(atoms, table.edges, table.bond_orders)))
        pooled = scatter(atoms, table.atom_molecule, dim=-2, dim_size=len(table), reduce="mean")
        embedding: Tensor = self.readout(pooled)
        return embedding


def perceptron(widths: Sequence[int]) -> nn.Sequential:
    """Return linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@dataclass(frozen=True)
class DiffMixSettings:
    """Sizes of a `DiffMix`, and its law.

    Attributes:
        law: `vft`; `none` lets MixNet say the property itself, from the pooled mixture and the temperature.
        graph: Of the graph network.
        pooled: Width of what SubNet says of a species and PairNet of two.
        pair: Width of PairNet's hidden layer.
        mix: Widths of MixNet's hidden layers.
    """

    law: LawName = "vft"
    graph: GraphSettings = GraphSettings()
    pooled: int = 32
    pair: int = 64
    mix: tuple[int, ...] = (128, 64)


class DiffMix(nn.Module):
    """One member for log10 of a transport property. `forward = head(mix(embed(species), batch))`."""

    def __init__(self, settings: DiffMixSettings) -> None:
        super().__init__()
        self.law = settings.law
        self.graphs = MoleculeGraphs(settings.graph)
        width = settings.graph.molecule
        self.sub_net = perceptron([width, settings.pair, settings.pooled])
        self.pair_net = perceptron([2 * width, settings.pair, settings.pooled])
        inputs = 2 * settings.pooled + (settings.law == "none")
        self.mix_net = perceptron([inputs, *settings.mix, 4])
        self.register_buffer("scales", torch.tensor([0.0, 1.0, 298.15, 30.0, 200.0]))
        self.scales: Tensor
        last = self.mix_net[-1]
        with torch.no_grad():
            last.weight *= 0.3
            last.bias.copy_(torch.tensor([0.0, 3.0, 0.5, -2.0]))

    def standardise(self, batch: SpeciesBatch, shift: float, scale: float) -> None:
        t = batch.temperature_K
        self.scales = torch.tensor(
            [shift, scale, float(t.mean()), max(float(t.std()), 1.0), 0.9 * float(t.min())]
        )

    def embed(self, table: MoleculeTable, atoms: Tensor) -> Tensor:
        """Return the embedding of each species, `u x d`."""
        embedding: Tensor = self.graphs(table, atoms)
        return embedding

    def mix(self, embedding: Tensor, batch: SpeciesBatch) -> Tensor:
        a, b = batch.pairs
        species = self.sub_net(embedding)
        one, other = embedding[a], embedding[b]
        pairs = self.pair_net(torch.cat([one + other, (one - other).square()], dim=-1))
        twice = torch.where(a == b, 1.0, 2.0).to(batch.x)  # sum over i and j meets a pair in both orders
        return torch.cat(
            [
                batch.x @ species,
                (twice * batch.x[:, a] * batch.x[:, b]) @ pairs,
                batch.temperature_K[:, None].to(batch.x),
            ],
            dim=-1,
        )

    def head(self, mixed: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the standardised log10, each `n`."""
        pooled, t = mixed[..., :-1], mixed[..., -1]
        shift, scale, middle, spread, lowest = self.scales.unbind()
        if self.law == "none":
            said = self.mix_net(torch.cat([pooled, ((t - middle) / spread).unsqueeze(-1)], dim=-1))
            return said[..., 0], bounded_variance(said[..., 3])
        said = self.mix_net(pooled)
        _, c2, c3 = vft_coefficients(said[..., :3], 1.0)
        c3 = c3 * lowest
        c1 = said[..., 0] * scale + shift + c2 / (middle - c3)
        return (vft(c1, c2, c3, t) - shift) / scale, bounded_variance(said[..., 3])

    def forward(self, table: MoleculeTable, atoms: Tensor, batch: SpeciesBatch) -> tuple[Tensor, Tensor]:
        return self.head(self.mix(self.embed(table, atoms), batch))
