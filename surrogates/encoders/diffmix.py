"""DiffMix: a graph network and a mixture network give the coefficients of a physics law.

Source: Zhu et al., Nat. Commun. 15, 8649 (2024): three graph convolutions a molecule with ReLU and dropout,
mean pooling; SubNet says what a species is, PairNet what two do to each other; pooled by mole fraction,
`[sum_i x_i s_i, sum_ij x_i x_j p_ij]`, they enter MixNet, whose coefficients a law turns into the property.
The widths of the networks are choices made here: no source that could be read states them.

Each species is embedded once and each pair that occurs is evaluated once, however many mixtures hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter

from surrogates.atom_features import WIDTH
from surrogates.encoders.convolutions import convolution
from surrogates.encoders.mixture_law import LawName, MixtureLaw, perceptron, pool
from surrogates.molecule_facts import WIDTH as FACTS
from surrogates.molecules import MoleculeTable
from surrogates.species import SpeciesBatch


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


@dataclass(frozen=True)
class DiffMixSettings:
    """Sizes of a `DiffMix`, and its law.

    Attributes:
        law: See `MixtureLaw`.
        facts: Whether facts of solvents and anions stand beside the graph embedding, as not in the paper:
            `species_facts`.
        graph: Of the graph network; dropout made errors three times as large.
        pooled: Width of what SubNet says of a species and PairNet of two.
        pair: Width of the hidden layer of SubNet and PairNet.
        mix: Widths of MixNet's hidden layers.
    """

    law: LawName = "vft"
    facts: bool = True
    graph: GraphSettings = GraphSettings(hidden=32, molecule=16, dropout=0.0)
    pooled: int = 32
    pair: int = 32
    mix: tuple[int, ...] = (128, 128)


class DiffMix(nn.Module):
    """One member, of log10 of a transport property. `forward = head(mix(embed(species), batch))`.

    Args:
        settings: Sizes, and the law.
        variances: See `MixtureLaw`.
    """

    def __init__(self, settings: DiffMixSettings, variances: int = 1) -> None:
        super().__init__()
        width = settings.graph.molecule + FACTS * settings.facts
        self.facts = settings.facts
        self.graphs = MoleculeGraphs(settings.graph)
        self.sub_net = perceptron([width, settings.pair, settings.pooled])
        self.pair_net = perceptron([2 * width, settings.pair, settings.pooled])
        self.law = MixtureLaw(settings.law, 2 * settings.pooled, settings.mix, variances)

    def embed(self, table: MoleculeTable, atoms: Tensor, facts: Tensor) -> Tensor:
        """Return the embedding of each species, `u x d`.

        Args:
            table: The `u` species.
            atoms: `a x 97`, from `atom_features`.
            facts: `u x 12`, from `species_facts`.
        """
        embedding: Tensor = self.graphs(table, atoms)
        return torch.cat([embedding, facts], dim=-1) if self.facts else embedding

    def parts(self, embedding: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each species is, `u x p`, and what each pair does, `number of pairs x p`.

        Args:
            embedding: `u x d`, from `embed`.
            pairs: `2 x` number of pairs, rows of `embedding`; their order does not matter.
        """
        one, other = embedding[pairs[0]], embedding[pairs[1]]
        both = torch.cat([one + other, (one - other).square()], dim=-1)
        species: Tensor = self.sub_net(embedding)
        return species, self.pair_net(both)

    def mix(self, embedding: Tensor, batch: SpeciesBatch) -> Tensor:
        """Return each mixture pooled, and its temperature, `n x (2 p + 1)`."""
        return pool(batch, *self.parts(embedding, batch.pairs))

    def head(self, mixed: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the standardised log10, each `n`, from what `mix` returns."""
        mean, variance = self.law(mixed)
        return mean, variance

    def forward(
        self, table: MoleculeTable, atoms: Tensor, facts: Tensor, batch: SpeciesBatch
    ) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the standardised log10 for each mixture, each `n`."""
        return self.head(self.mix(self.embed(table, atoms, facts), batch))
