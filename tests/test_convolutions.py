"""The five convolutions: one call, relabelled atoms, molecules apart, and stacked members."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from surrogates.encoders.convolutions import ConvolutionName, DirectedMessagePassing, convolution
from surrogates.molecules import ATOM_FEATURES, Component, MoleculeTable

NAMES: tuple[ConvolutionName, ...] = get_args(ConvolutionName)
SMILES = ("CC1COC(=O)O1", "N#CCCC#N", "c1ccccc1", "[Li+].F[P-](F)(F)(F)(F)F", "O")
MEMBERS = 3
each_convolution = pytest.mark.parametrize("name", NAMES)


def _table(*smiles: str) -> MoleculeTable:
    return MoleculeTable.build(Component.of(s) for s in smiles)


def _layer(name: ConvolutionName, n_in: int = len(ATOM_FEATURES), n_out: int = 6) -> nn.Module:
    torch.manual_seed(0)
    return convolution(name, n_in, n_out).double()


class TwoLayers(nn.Module):
    """The second layer's input differs between members, the first one's does not."""

    def __init__(self, name: ConvolutionName) -> None:
        super().__init__()
        self.first = convolution(name, len(ATOM_FEATURES), 6)
        self.second = convolution(name, 6, 4)

    def forward(self, x: Tensor, edges: Tensor, bond_orders: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x, edges, bond_orders)), edges, bond_orders)


@each_convolution
def test_stacked_members_equal_a_loop_over_them(name: ConvolutionName) -> None:
    torch.manual_seed(0)
    table = _table(*SMILES)
    graph = (table.atoms.double(), table.edges, table.bond_orders.double())
    members = [TwoLayers(name).double() for _ in range(MEMBERS)]
    parameters, buffers = stack_module_state(members)
    skeleton = TwoLayers(name).double().to("meta")

    def forward(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(skeleton, (parameters, buffers), (x, *graph[1:]))

    stacked = vmap(forward, in_dims=(0, 0, None))(parameters, buffers, graph[0])
    loop = torch.stack([member(*graph) for member in members])
    torch.testing.assert_close(stacked, loop)
    stacked.square().mean().backward()
    loop.square().mean().backward()
    for key, value in parameters.items():
        expected = torch.stack([member.get_parameter(key).grad for member in members])
        assert expected.abs().max() > 0, key
        torch.testing.assert_close(value.grad, expected)


@each_convolution
def test_float32_gives_what_float64_gives(name: ConvolutionName) -> None:
    table = _table(*SMILES)
    layer = _layer(name)
    exact = layer(table.atoms.double(), table.edges, table.bond_orders)
    single = layer.float()(table.atoms, table.edges, table.bond_orders)
    assert (exact.dtype, single.dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-4)


@each_convolution
def test_same_seed_gives_the_same_numbers(name: ConvolutionName) -> None:
    table = _table(*SMILES)
    graph = (table.atoms.double(), table.edges, table.bond_orders)
    torch.testing.assert_close(_layer(name)(*graph), _layer(name)(*graph), rtol=0, atol=0)


@each_convolution
@given(seed=st.integers(0, 2**16))
def test_relabelled_atoms_and_shuffled_edges_relabel_the_output(name: ConvolutionName, seed: int) -> None:
    table = _table(*SMILES)
    random = torch.Generator().manual_seed(seed)
    new_to_old = torch.randperm(len(table.atoms), generator=random)
    shuffle = torch.randperm(table.edges.shape[1], generator=random)
    layer, x = _layer(name), table.atoms.double()
    out = layer(x, table.edges, table.bond_orders)
    relabelled = layer(
        x[new_to_old], new_to_old.argsort()[table.edges[:, shuffle]], table.bond_orders[shuffle]
    )
    torch.testing.assert_close(relabelled, out[new_to_old])


@each_convolution
def test_a_molecule_does_not_feel_the_others_of_its_table(name: ConvolutionName) -> None:
    layer = _layer(name)

    def out(table: MoleculeTable) -> Tensor:
        return layer(table.atoms.double(), table.edges, table.bond_orders)

    alone = torch.cat([out(_table(smiles)) for smiles in SMILES])
    torch.testing.assert_close(out(_table(*SMILES)), alone)


@pytest.mark.parametrize(
    ("name", "seen"),
    [("GraphConv", True), ("SAGEConv", False), ("GCNConv", True), ("GATConv", False), ("DMPNN", True)],
)
def test_bond_orders_are_seen_where_the_docstring_says(name: ConvolutionName, seen: bool) -> None:
    table = _table("CC#N")
    bonds = table.edges[0] != table.edges[1]
    layer, x = _layer(name), table.atoms.double()
    single = layer(x, table.edges, torch.ones_like(table.bond_orders))
    other = layer(x, table.edges, torch.where(bonds, table.bond_orders, 1.0))
    assert torch.allclose(single, other) is not seen


@pytest.mark.parametrize(
    ("name", "seen"),
    [("GraphConv", True), ("SAGEConv", True), ("GCNConv", True), ("GATConv", True), ("DMPNN", False)],
)
def test_self_loops_count_where_the_docstring_says(name: ConvolutionName, seen: bool) -> None:
    table = _table("CC#N")
    bonds = table.edges[0] != table.edges[1]
    layer, x = _layer(name), table.atoms.double()
    with_loops = layer(x, table.edges, table.bond_orders)
    without = layer(x, table.edges[:, bonds], table.bond_orders[bonds])
    assert torch.allclose(with_loops, without) is not seen


def test_graph_conv_is_the_published_sum() -> None:
    table = _table("CC#N")
    layer, x = _layer("GraphConv"), table.atoms.double()
    adjacency = torch.tensor([[1.0, 1, 0], [1, 1, 3], [0, 3, 1]]).double()
    expected = layer.lin_rel(adjacency @ x) + layer.lin_root(x)
    torch.testing.assert_close(layer(x, table.edges, table.bond_orders), expected)


def test_directed_messages_equal_a_loop_over_bonds() -> None:
    table = _table("CC1COC(=O)O1")
    layer = _layer("DMPNN")
    assert isinstance(layer, DirectedMessagePassing)
    x = table.atoms.double()
    orders = {
        (v, w): order.double()
        for (v, w), order in zip(table.edges.T.tolist(), table.bond_orders, strict=True)
        if v != w
    }
    first = {vw: torch.relu(layer.start(torch.cat([x[vw[0]], order[None]]))) for vw, order in orders.items()}
    message = dict(first)
    for _ in range(2):
        message = {
            (v, w): torch.relu(
                first[v, w]
                + layer.pass_on(
                    sum((h for (u, to), h in message.items() if to == v and u != w), torch.zeros(6).double())
                )
            )
            for v, w in message
        }
    expected = [
        layer.gather(torch.cat([x[v], sum(h for (_, to), h in message.items() if to == v)]))
        for v in range(len(x))
    ]
    torch.testing.assert_close(layer(x, table.edges, table.bond_orders), torch.stack(expected))
