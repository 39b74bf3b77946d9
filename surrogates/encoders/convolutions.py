"""The five graph convolutions of the MolSets paper, behind one call."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch_geometric.nn.conv import GATConv, GCNConv, GraphConv, SAGEConv
from torch_geometric.utils import scatter

ConvolutionName = Literal["GraphConv", "SAGEConv", "GCNConv", "GATConv", "DMPNN"]


def convolution(name: ConvolutionName, n_in: int, n_out: int) -> nn.Module:
    """Return a new layer that is called with the graphs of a `MoleculeTable`.

    All are called as `layer(x, edges, bond_orders) -> a x n_out`: `x` is `a x n_in`, a row an atom;
    `edges` is `2 x e`, source and target, both directions and a self-loop an atom; `bond_orders` is `e`,
    1 on self-loops. None applies an activation to what it returns, all work under `torch.func.vmap`.
    They differ in what they make of bond orders and self-loops:

    - GraphConv: a sum over neighbours weighted by bond order; the self-loop adds the atom itself.
    - SAGEConv: a mean over neighbours and the atom itself; bond orders are not seen.
    - GCNConv: a sum weighted by bond order over the root of both atoms' sums of bond orders, in which
      the self-loop counts 1.
    - GATConv: one attention head over neighbours and the atom itself; bond orders are not seen.
    - DMPNN: the bond order is a bond's feature; self-loops are left out (see `DirectedMessagePassing`).

    Args:
        name: Which of the five.
        n_in: Features an atom comes with.
        n_out: Features it leaves with.

    Source: Zhang et al., PRX Energy 3, 023006 (2024), whose script withholds bond orders from SAGEConv and
    GATConv in the same way; the layers but DMPNN are those of PyTorch Geometric.
    """
    layer: nn.Module
    match name:
        case "GraphConv":
            layer = GraphConv(n_in, n_out, aggr="add")
        case "SAGEConv":
            layer = WithoutBondOrders(SAGEConv(n_in, n_out))
        case "GCNConv":
            layer = GCNConv(n_in, n_out, add_self_loops=False)  # the table's edges hold them
        case "GATConv":
            layer = WithoutBondOrders(GATConv(n_in, n_out, add_self_loops=False))
        case "DMPNN":
            layer = DirectedMessagePassing(n_in, n_out)
    return layer


class WithoutBondOrders(nn.Module):
    """Calls a layer that takes no edge weights as `convolution` promises."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, edges: Tensor, bond_orders: Tensor) -> Tensor:
        """Return `a x n_out`."""
        out: Tensor = self.layer(x, edges)
        return out


class DirectedMessagePassing(nn.Module):
    """D-MPNN: messages travel along directed bonds and never straight back.

    With `h0(v, w) = relu(W_i [x_v, order_vw])`, each of two steps sets
    `h(v, w) = relu(h0(v, w) + W_m sum over u != w of h(u, v))`; an atom leaves with
    `W_a [x_v, sum over u of h(u, v)]`. Self-loops are left out, as in Chemprop: through one, a message
    would come back to where it was sent from. (The MolSets script keeps them.)

    Args:
        n_in: Features an atom comes with.
        n_out: Features of a message and of the atom that leaves.

    Source: Yang et al., J. Chem. Inf. Model. 59, 3370 (2019), eqs. 4 to 7, without the last activation.
    """

    steps = 2
    """Two after the first message, as in the MolSets script and by default in Chemprop (depth 3)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.start = nn.Linear(n_in + 1, n_out, bias=False)
        self.pass_on = nn.Linear(n_out, n_out, bias=False)
        self.gather = nn.Linear(n_in + n_out, n_out)

    def forward(self, x: Tensor, edges: Tensor, bond_orders: Tensor) -> Tensor:
        """Return `a x n_out`."""
        bonds = edges[0] != edges[1]
        source, target = edges[:, bonds]
        back = _reverse(source, target, len(x))
        start = torch.relu(self.start(torch.cat([x[source], bond_orders[bonds, None]], dim=-1)))
        message = start
        for _ in range(self.steps):
            arrived = scatter(message, target, dim_size=len(x))
            message = torch.relu(start + self.pass_on(arrived[source] - message[back]))
        out: Tensor = self.gather(torch.cat([x, scatter(message, target, dim_size=len(x))], dim=-1))
        return out


def _reverse(source: Tensor, target: Tensor, n_atoms: int) -> Tensor:
    """Return the position of each directed bond's opposite: both sort alike, ends exchanged."""
    forth = (source * n_atoms + target).argsort()
    back = (target * n_atoms + source).argsort()
    return back[forth.argsort()]
