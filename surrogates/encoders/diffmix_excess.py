"""DiffMix for excess properties: networks give the Redlich-Kister coefficients of every pair of molecules.

One PairNet gives all orders of a pair at once. The law makes the rest: no excess of a pure component, none of
a component with itself, and no difference if components change places. Coefficients are linear in
temperature. What PairNet says are coefficients of Legendre polynomials of `x_i - x_j`, which a fixed matrix
turns into those of its powers: the powers are so alike that a network learns their coefficients slowly.

Source: Zhu et al., Nat. Commun. 15, 8649 (2024). Widths, the linear temperature, the Legendre polynomials
and the variance are choices made here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial.legendre import leg2poly
from torch import Tensor, nn
from torch.nn.functional import softplus

from surrogates.blends import BlendBatch
from surrogates.encoders.diffmix import GraphSettings, MoleculeGraphs, perceptron
from surrogates.laws import redlich_kister, redlich_kister_coefficients
from surrogates.molecules import MoleculeTable

REFERENCE_K, SPAN_K = 298.15, 50.0


@dataclass(frozen=True)
class ExcessSettings:
    order: int | None = 9
    graph: GraphSettings = GraphSettings(dropout=0.0)
    pair: tuple[int, ...] = (128, 128)
    pooled: int = 32
    mix: tuple[int, ...] = (128, 64)
    decay: float = 1.0
    legendre: bool = True
    span: float = 50.0


def legendre_powers(order):
    m = torch.zeros(order + 1, order + 1)
    for k in range(order + 1):
        c = leg2poly([0.0] * k + [1.0])
        m[k, : k + 1] = torch.from_numpy(c).float()
    return m


class DiffMixExcess(nn.Module):
    def __init__(self, settings: ExcessSettings) -> None:
        super().__init__()
        self.graphs = MoleculeGraphs(settings.graph)
        self.order = settings.order
        self.span = settings.span
        d = settings.graph.molecule
        if settings.order is None:
            self.sub_net = perceptron([d, settings.pair[0], settings.pooled])
            self.pair_net = perceptron([2 * d, *settings.pair, settings.pooled])
            self.mix_net = perceptron([2 * settings.pooled + 1, *settings.mix, 2])
        else:
            N = settings.order
            self.pair_net = perceptron([2 * d, *settings.pair, 2 * (N + 1) + 1])
            m = legendre_powers(N) if settings.legendre else torch.eye(N + 1)
            m = m / (1 + torch.arange(N + 1))[:, None] ** settings.decay
            self.register_buffer("to_powers", m)
            self.floor = nn.Parameter(torch.tensor(-4.0))

    def embed(self, table: MoleculeTable, atoms: Tensor) -> Tensor:
        e: Tensor = self.graphs(table, atoms)
        return e

    def coefficients(self, embedding: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        a, b = pairs
        u, p = len(embedding), pairs.shape[1]
        every = torch.arange(u)
        one, other = embedding[torch.cat([a, b, every])], embedding[torch.cat([b, a, every])]
        said = self.pair_net(torch.cat([one, other], dim=-1))
        ab, ba, own = said[:p], said[p:2 * p], said[2 * p:]
        block = torch.stack([torch.stack([own[a], ab], 1), torch.stack([ba, own[b]], 1)], 1)  # p 2 2 c
        noise = softplus((ab[:, -1] + ba[:, -1]) / 2 - 3)
        raw = block[..., :-1].unflatten(-1, (2, -1)) @ self.to_powers
        L = torch.stack([redlich_kister_coefficients(raw[..., i, :]) for i in (0, 1)], -2)  # p 2 2 2 N+1
        L = torch.cat([L[:, 0, 1], L[:, 1, 0], torch.zeros_like(L[:1, 0, 0])])
        return L, noise

    def forward(self, table, atoms, batch):
        e = self.embed(table, atoms)
        return self.mix(e, batch)

    def mix(self, e, batch: BlendBatch):
        t = (batch.temperature_K - 298.15) / self.span
        x = batch.x
        if self.order is None:
            s = self.sub_net(e)
            a, b = batch.pairs
            u = len(e)
            every = torch.arange(u)
            one, other = e[torch.cat([a, b, every])], e[torch.cat([b, a, every])]
            q = self.pair_net(torch.cat([one, other], -1))
            p = len(a)
            cross = torch.cat([q[:2 * p], torch.zeros_like(q[:1])])[batch.meeting]
            own = q[2 * p:]
            pooled = torch.cat([(x[..., None] * s[batch.molecules]).sum(1),
              (x[:, :, None, None] * x[:, None, :, None] * cross).sum((1, 2)) + (x[..., None] ** 2 * own[batch.molecules]).sum(1), t[:, None]], -1)
            out = self.mix_net(pooled)
            return out[:, 0], softplus(out[:, 1] - 3) + 1e-4
        L, noise = self.coefficients(e, batch.pairs)
        L = L[batch.meeting]  # n k k 2 N+1
        mean = redlich_kister(x, L[..., 0, :] + t[:, None, None, None] * L[..., 1, :])
        noise = torch.cat([noise, noise, torch.zeros_like(noise[:1])])[batch.meeting]
        std = softplus(self.floor) + 2 * (x[:, :, None] * x[:, None, :] * noise).sum((1, 2))
        return mean, std
