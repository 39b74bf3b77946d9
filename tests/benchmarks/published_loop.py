"""The published MolSets scheme: one network, one mixture at a time.

Written from the published facts, apart from the project's own encoder, so that it can serve as the
denominator of the speed benchmarks and as an oracle for the batched encoder. Run it for its rates:

    python -m tests.benchmarks.published_loop

It follows the published scripts where they decide the time: the graphs of a mixture are joined inside
the loop, and training runs 32 forward passes, one after another, for each backward pass (AdamW,
learning rate 1e-3, weight decay 1e-4, mean squared error of the standardised target). It departs from
them in one place, to the loop's advantage: prediction records no gradients.

Source: Zhang et al., PRX Energy 3, 023006 (2024).
"""

from __future__ import annotations

import ast
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GraphConv, LayerNorm, global_mean_pool

from surrogates.molecules import Component, MoleculeTable, parse_smiles

BATCH_SIZE = 32
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4


@dataclass(frozen=True)
class LoopMixture:
    """One mixture of `k` solvents, featurised.

    Attributes:
        solvents: A graph a solvent.
        molar_masses: `k`, g/mol.
        weights: `k`, weight fractions as in the data, not renormalised.
        salt: The salt's graph.
        molality: Scalar, mol/kg.
    """

    solvents: tuple[Data, ...]
    molar_masses: Tensor
    weights: Tensor
    salt: Data
    molality: Tensor


class Phi(nn.Module):
    """Graph to embedding: three convolutions under one shared norm, mean over atoms, Linear, tanh."""

    def __init__(self, readout_inputs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([GraphConv(13, 16), GraphConv(16, 16), GraphConv(16, 16)])
        self.norm = LayerNorm(16, mode="graph")
        self.fc = nn.Linear(readout_inputs, 32)

    def forward(self, graphs: Batch, extra: Tensor) -> Tensor:
        x = graphs.x
        for conv in self.convs:
            # The norm gets no batch vector: mean and deviation run over all molecules of the mixture.
            x = torch.relu(self.norm(conv(x, graphs.edge_index, graphs.edge_attr)))
        x = global_mean_pool(x, graphs.batch)
        return torch.tanh(self.fc(torch.cat([x, extra], dim=1)))


class PublishedNetwork(nn.Module):
    """The published GraphConv network, 7,617 parameters under the checkpoint's names."""

    def __init__(self) -> None:
        super().__init__()
        self.phi = Phi(readout_inputs=17)
        self.phi_salt = Phi(readout_inputs=16)
        self.att_q_net = nn.Linear(32, 16)
        self.att_k_net = nn.Linear(32, 16)
        self.att_v_net = nn.Linear(32, 32)
        self.rho = nn.Sequential(nn.Linear(65, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, mixture: LoopMixture) -> Tensor:
        """Return the standardised target of one mixture, shape `1`."""
        log_mass = mixture.molar_masses.log10()[:, None]
        h = self.phi(Batch.from_data_list(list(mixture.solvents)), log_mass)
        attention = torch.softmax(self.att_q_net(h) @ self.att_k_net(h).T / 4, dim=0)
        mixed = mixture.weights @ (attention @ self.att_v_net(h))
        salt = self.phi_salt(Batch.from_data_list([mixture.salt]), torch.empty(1, 0))[0]
        return self.rho(torch.cat([mixed, salt, mixture.molality[None]]))


def load_published(directory: Path) -> tuple[PublishedNetwork, float, float]:
    """Return the network with the published weights, and the target's mean and deviation."""
    network = PublishedNetwork()
    network.load_state_dict(load_file(directory / "molsets_checkpoint.safetensors"))
    target = json.loads((directory / "molsets_checkpoint.json").read_text(encoding="utf-8"))["target"]
    return network.eval(), target["mean"], target["std_population"]


def featurise(
    solvents: Sequence[str],
    molar_masses: Sequence[float],
    weights: Sequence[float],
    salt: str,
    molality: float,
) -> LoopMixture:
    """Return one mixture with its graphs; every molecule is featurised anew, as published."""
    parse_smiles.cache_clear()
    return LoopMixture(
        solvents=tuple(_graph(smiles) for smiles in solvents),
        molar_masses=torch.tensor(molar_masses),
        weights=torch.tensor(weights),
        salt=_graph(salt),
        molality=torch.tensor(molality),
    )


def read_molsets(path: Path) -> tuple[list[LoopMixture], Tensor]:
    """Return the mixtures of the published CSV in its order, and log10 of S/cm at 298 K."""
    frame = pd.read_csv(path, keep_default_na=False)
    solvents = frame[[f"Solvent {i}" for i in (1, 2, 3, 4)]]
    mixtures = [
        featurise(
            [smiles for smiles in names if smiles not in ("", "nan")],
            ast.literal_eval(masses),
            ast.literal_eval(weights),
            salt,
            float(molality),
        )
        for names, masses, weights, salt, molality in zip(
            solvents.to_numpy(), frame["M"], frame["Weights"], frame["Salt"], frame["Molality"], strict=True
        )
    ]
    target = frame["Slope"].astype(float) / 298 + frame["Intercept"].astype(float)
    return mixtures, torch.tensor(target.to_numpy(), dtype=torch.float32)


def predict_loop(network: PublishedNetwork, mixtures: Sequence[LoopMixture]) -> Tensor:
    """Return the standardised prediction of each mixture, `n`."""
    with torch.no_grad():
        return torch.cat([network(mixture) for mixture in mixtures])


def train_epoch_loop(
    network: PublishedNetwork,
    optimiser: torch.optim.Optimizer,
    mixtures: Sequence[LoopMixture],
    targets: Tensor,
) -> float:
    """Train for one epoch in shuffled batches of 32; return the mean squared error, standardised."""
    losses = []
    for rows in torch.randperm(len(mixtures)).split(BATCH_SIZE):
        predictions = torch.cat([network(mixtures[row]) for row in rows])
        loss = nn.functional.mse_loss(predictions, targets[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def published_optimiser(network: PublishedNetwork) -> torch.optim.Optimizer:
    """Return the optimiser of the published training."""
    return torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)


def _graph(smiles: str) -> Data:
    table = MoleculeTable.build([Component(smiles, molar_mass=1.0)])  # the mass goes beside the graph
    return Data(x=table.atoms, edge_index=table.edges, edge_attr=table.bond_orders)


def main() -> None:
    """Print the loop's rates on the measured mixtures and its deviation from the published numbers."""
    torch.set_num_threads(1)
    data, reference = Path(os.environ["ACTIVELEARN_DATA"]), Path(os.environ["ACTIVELEARN_REFERENCE"])
    start = time.perf_counter()
    mixtures, targets = read_molsets(data / "molsets" / "data_compiled.csv")
    featurised = time.perf_counter()
    network, mean, std = load_published(reference)
    loaded = time.perf_counter()
    predictions = predict_loop(network, mixtures) * std + mean
    predicted = time.perf_counter()
    train_epoch_loop(network, published_optimiser(network), mixtures, (targets - mean) / std)
    trained = time.perf_counter()
    published = pd.read_csv(reference / "molsets_reference.csv")["prediction_log10_S_cm"]
    deviation = (predictions - torch.tensor(published.to_numpy())).abs().max()
    print(f"featurising   {len(mixtures) / (featurised - start):10.0f} mixtures/s")
    print(f"prediction    {len(mixtures) / (predicted - loaded):10.0f} mixtures/s")
    print(f"training      {trained - predicted:10.2f} s an epoch of {len(mixtures)} mixtures")
    print(f"deviation     {deviation:10.1e} log10 S/cm, largest of {len(mixtures)}")


if __name__ == "__main__":
    main()
