"""The published DRXNet scheme: one network, one composition, one graph for each of 100 voltages.

Written from the published facts, apart from the project's own encoder, so that it can serve as the
denominator of the speed benchmark and as an oracle for the batched encoder. It follows the published
script where that decides the time: every voltage gets its own graph, featurised anew, the 100 graphs are
joined in Python, and each evaluation takes the gradients by voltage and by element weights, ready to be
differentiated again. It departs from the script to the loop's advantage: formulas are read by the
project's parser, which is quicker than pymatgen's.

Source: Zhong et al., Joule (2024), arXiv 2304.04986.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch_geometric.utils import scatter

from surrogates.composition_batches import CompositionTable
from surrogates.compositions import parse_formula

POINTS = 100


class HeadNetwork(nn.Module):
    """Linear, SiLU, Linear."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.fcs = nn.ModuleList([nn.Linear(n_in, 64)])
        self.fc_out = nn.Linear(64, n_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc_out(nn.functional.silu(self.fcs[0](x)))


class Head(nn.Module):
    """Attention over the members of each group, weighted by amount."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.gate_nn = HeadNetwork(n_in, 1)
        self.message_nn = HeadNetwork(n_in, 32)

    def forward(self, x: Tensor, group: Tensor, weights: Tensor) -> Tensor:
        gate = self.gate_nn(x)
        gate = weights * (gate - scatter(gate, group, reduce="max")[group]).exp()
        gate = gate / (scatter(gate, group)[group] + 1e-10)
        return scatter(gate * self.message_nn(x), group)


class Layer(nn.Module):
    """Three heads over all pairs of a composition's elements."""

    def __init__(self) -> None:
        super().__init__()
        self.pooling = nn.ModuleList([Head(64) for _ in range(3)])

    def forward(self, x: Tensor, weights: Tensor, hearer: Tensor, speaker: Tensor) -> Tensor:
        pairs = torch.cat([x[hearer], x[speaker]], dim=1)
        heads = [head(pairs, hearer, weights[speaker]) for head in self.pooling]
        return torch.stack(heads).mean(0) + x


class Material(nn.Module):
    """Elements and weights to one vector a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(200, 31)
        self.graphs = nn.ModuleList([Layer() for _ in range(3)])
        self.cry_pool = nn.ModuleList([Head(32) for _ in range(3)])

    def forward(
        self, weights: Tensor, elements: Tensor, hearer: Tensor, speaker: Tensor, graph: Tensor
    ) -> Tensor:
        x = torch.cat([self.embedding(elements), weights], dim=1)
        for layer in self.graphs:
            x = layer(x, weights, hearer, speaker)
        return torch.stack([head(x, graph, weights) for head in self.cry_pool]).mean(0)


class ConditionNetwork(nn.Module):
    """Linear, batch norm, SiLU, Linear."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(1, 32)
        self.bn = nn.BatchNorm1d(32)
        self.fc = nn.Linear(32, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(nn.functional.silu(self.bn(self.hidden(x))))


class GateNetwork(nn.Module):
    """A layer times a scalar, both behind batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Linear(48, 32)
        self.attn = nn.Linear(48, 1)
        self.bn = nn.BatchNorm1d(32)
        self.bn_attn = nn.BatchNorm1d(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn_attn(self.attn(x)).sigmoid() * nn.functional.silu(self.bn(self.kernel(x)))


class Voltage(nn.Module):
    """Window and voltage to a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.fc_window = nn.Linear(2, 64)
        self.fc_Vii = nn.Linear(1, 64)
        self.fc = nn.Linear(64, 32)

    def forward(self, window: Tensor, voltage: Tensor) -> Tensor:
        return self.fc(nn.functional.silu(self.fc_window(window) + self.fc_Vii(voltage)))


class Layers(nn.Module):
    """Layers under the names of the published script."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


class PublishedNetwork(nn.Module):
    """The published network, 128,778 parameters under the names of its weight files."""

    def __init__(self) -> None:
        super().__init__()
        self.rate_embedding = ConditionNetwork()
        self.cycle_embedding = ConditionNetwork()
        self.material_nn = Material()
        self.encode_rate = GateNetwork()
        self.encode_cycle = GateNetwork()
        self.delta_N = nn.Linear(1, 32, bias=False)
        self.encode_voltage = Voltage()
        self.add_voltage = Layers(hidden=nn.Linear(32, 32))
        self.fc = Layers(hidden=nn.Linear(32, 32), fc=nn.Linear(32, 1))

    def charge(self, state: Tensor, volts: Tensor) -> Tensor:
        softplus = nn.functional.softplus
        x = softplus(self.add_voltage.hidden(volts + state))
        return softplus(self.fc.fc(softplus(self.fc.hidden(x))))

    def forward(self, graphs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the charge, mAh/g, and its derivative by the voltage, each `v`."""
        weights, elements, hearer, speaker, graph, window, rate, cycle, voltage = graphs
        material = self.material_nn(weights, elements, hearer, speaker, graph)
        first = material + self.encode_rate(torch.cat([material, self.rate_embedding(rate)], dim=1))
        fade = self.encode_cycle(torch.cat([first, self.cycle_embedding(cycle)], dim=1))
        now = first + fade * self.delta_N(cycle - 1)
        volts = self.encode_voltage(window, voltage)
        self.charge(first, volts)  # the script evaluates the first cycle too, whether or not it is asked
        charge = self.charge(now, volts)
        ones = torch.ones_like(charge)
        slope = torch.autograd.grad(charge, voltage, ones, create_graph=True)[0]
        torch.autograd.grad(charge, weights, ones, create_graph=True)  # for the smoothness term, likewise
        return charge[:, 0], slope[:, 0]


def load_published(directory: Path) -> list[PublishedNetwork]:
    """Return the five published networks."""
    networks = []
    for member in range(5):
        network = PublishedNetwork()
        network.load_state_dict(load_file(directory / f"drxnet_model_{member}.safetensors"))
        networks.append(network.eval())
    return networks


def featurise(
    formula: str, rate: float, cycle: float, V_low: float, V_high: float, voltage: float
) -> tuple[Tensor, ...]:
    """Return the graph of a composition at one voltage. Amounts are taken as written, as published."""
    amounts = parse_formula(formula)
    fluorine = (2 - amounts.pop("O")) / 2
    amounts.pop("F", None)
    table = CompositionTable.of(list(amounts))
    count = len(amounts)
    return (
        torch.tensor([[amount / 2] for amount in amounts.values()], requires_grad=True),
        table.embeddings + fluorine * table.fluorine,
        torch.arange(count).repeat_interleave(count),
        torch.arange(count).repeat(count),
        torch.tensor([V_low, V_high]),
        torch.tensor([rate]),
        torch.tensor([cycle]),
        torch.tensor([voltage], requires_grad=True),
    )


def collate(formula: str, rate: float, cycle: float, V_low: float, V_high: float) -> tuple[Tensor, ...]:
    """Return the graphs of a composition at all voltages, joined."""
    points = [
        featurise(formula, rate, cycle, V_low, V_high, voltage)
        for voltage in np.linspace(V_low, V_high, POINTS).tolist()
    ]
    weights, elements, hearers, speakers, windows, rates, cycles, voltages = zip(*points, strict=True)
    count = len(weights[0])
    return (
        torch.cat(weights),
        torch.cat(elements),
        torch.cat([hearer + count * point for point, hearer in enumerate(hearers)]),
        torch.cat([speaker + count * point for point, speaker in enumerate(speakers)]),
        torch.arange(POINTS).repeat_interleave(count),
        torch.stack(windows),
        torch.stack(rates),
        torch.stack(cycles),
        torch.stack(voltages),
    )


def profile_loop(
    networks: Sequence[PublishedNetwork],
    formula: str,
    rate: float,
    cycle: float,
    V_low: float,
    V_high: float,
) -> tuple[Tensor, Tensor]:
    """Return charge, mAh/g, and slope, mAh/g/V, of each network on 100 voltages, each `K x 100`."""
    curves = []
    for network in networks:  # the script collates anew for each network
        charge, slope = network(collate(formula, rate, cycle, V_low, V_high))
        curves.append((charge.detach(), slope.detach()))
    charges, slopes = zip(*curves, strict=True)
    return torch.stack(charges), torch.stack(slopes)


def voltage_and_energy(charge: Tensor, voltage: Tensor) -> tuple[float, float]:
    """Return average voltage, V, and energy, Wh/kg, by the published rule, from `v` points.

    It sums V dQ by central differences and leaves out the lowest voltage: on the reference rows it is up
    to 2 % off the integral.
    """
    energy = float(-(np.gradient(charge.numpy()) * voltage.numpy())[1:].sum())
    return energy / float(charge[0]), energy
