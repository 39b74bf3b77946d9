"""Mixtures as tensors, and which rows hold the same mixture."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogates.mixture_data import MixtureData, mixture_rows, tabulate
from surrogates.molecules import Component

EC, DMC, POLYMER = Component.of("O=C1OCCO1"), Component.of("COC(=O)OC"), Component.of("[Cu]OCC[Au]", 5e3)
SALT, OTHER = Component.of("F[P-](F)(F)(F)(F)F.[Li+]"), Component.of("[Li+].[Cl-]")

mixtures = st.lists(
    st.dictionaries(st.sampled_from([EC, DMC, POLYMER]), st.floats(0.01, 0.3), min_size=1, max_size=3),
    min_size=1,
    max_size=6,
)


@given(mixtures)
def test_every_row_can_be_read_back(rows: list[dict[Component, float]]) -> None:
    n = len(rows)
    weights = [list(row.values()) for row in rows]
    table, batch = tabulate([list(row) for row in rows], weights, [[SALT]] * n, [[1.0]] * n, [298.15] * n)
    for r, row in enumerate(rows):
        parts = zip(batch.solvents[r].tolist(), batch.weights[r].tolist(), strict=True)
        assert {table.components[i]: weight for i, weight in parts if weight > 0} == row
        assert table.components[int(batch.salts[r, 0])] == SALT


def test_rows_of_several_salts_and_of_none_fill_slots_up() -> None:
    table, batch = tabulate(
        [[EC]] * 3, [[1.0]] * 3, [[SALT, OTHER], [], [OTHER]], [[1, 2], [], [3]], [298] * 3
    )
    index = table.index()
    assert batch.salts.tolist() == [[index[SALT], index[OTHER]], [0, 0], [index[OTHER], 0]]
    assert batch.molality.tolist() == [[1, 2], [0, 0], [3, 0]]
    _, bare = tabulate([[EC]], [[1.0]], [[]], [[]], [298.15])
    assert [bare.salts.tolist(), bare.molality.tolist()] == [[[0]], [[0]]]


def _rows(
    solvents: list[list[Component]], weights: list[list[float]], temperature: list[float]
) -> dict[str, list[object]]:
    n = len(solvents)
    table, batch = tabulate(solvents, weights, [[SALT]] * n, [[1.0]] * n, temperature)
    frame = mixture_rows(table, batch, range(2, n + 2), np.zeros(n, dtype=bool))
    return frame[["mixture", "repeat"]].to_dict("list")


def test_order_of_solvents_does_not_make_another_mixture() -> None:
    same = _rows([[EC, DMC], [DMC, EC], [EC, DMC]], [[0.3, 0.7], [0.7, 0.3], [0.7, 0.3]], [298.15] * 3)
    assert same == {"mixture": [0, 0, 1], "repeat": [False, True, False]}


def test_another_temperature_is_the_same_mixture_but_no_repeat() -> None:
    assert _rows([[EC], [EC]], [[1.0], [1.0]], [298.15, 310.0]) == {
        "mixture": [0, 0],
        "repeat": [False, False],
    }


def test_another_length_of_chain_is_the_same_mixture() -> None:
    longer = Component(POLYMER.smiles, 1e5)
    assert _rows([[POLYMER], [longer]], [[0.9], [0.9]], [298.15] * 2) == {
        "mixture": [0, 0],
        "repeat": [False, True],
    }


def test_rounding_does_not_make_another_mixture() -> None:
    assert _rows([[EC], [EC]], [[0.1 + 0.2], [0.3]], [298.15] * 2)["mixture"] == [0, 0]


def test_neither_order_of_salts_nor_absent_ones_make_another_mixture() -> None:
    salts = [[SALT, OTHER], [OTHER, SALT], [SALT, SALT], [SALT], [SALT, OTHER], [OTHER], [OTHER, SALT], []]
    amounts = [[1.0, 2.0], [2.0, 1.0], [0.4, 0.6], [1.0], [1.0, 0.0], [0.0], [1.0, 2.0], []]
    table, batch = tabulate([[EC]] * 8, [[1.0]] * 8, salts, amounts, [298.15] * 8)
    rows = mixture_rows(table, batch, range(8), np.zeros(8, dtype=bool))
    assert rows["mixture"].tolist() == [0, 0, 1, 1, 1, 2, 3, 2]


def _data() -> MixtureData:
    longer = Component(POLYMER.smiles, 1e5)
    solvents, weights = [[EC, DMC], [POLYMER], [DMC], [longer, EC]], [[0.3, 0.6], [0.9], [0.8], [0.5, 0.4]]
    salts, molality = [[SALT], [OTHER, SALT], [OTHER], []], [[1.0], [2.0, 0.5], [3.0], []]
    table, batch = tabulate(solvents, weights, salts, molality, [298.15] * 4)
    frame = mixture_rows(table, batch, range(2, 6), np.zeros(4, dtype=bool))
    return MixtureData(table, batch, torch.arange(4.0), "y", frame, "mixtures.csv", "", ())


Parts = dict[Component, float]


def _written_out(data: MixtureData) -> list[tuple[Parts, Parts, float, int]]:
    components = data.table.components

    def present(parts: torch.Tensor, amounts: torch.Tensor) -> Parts:
        both = zip(parts.tolist(), amounts.tolist(), strict=True)
        return {components[part]: amount for part, amount in both if amount > 0}

    return [
        (present(solvents, weights), present(salts, molality), float(target), int(row))
        for solvents, weights, salts, molality, target, row in zip(
            data.batch.solvents,
            data.batch.weights,
            data.batch.salts,
            data.batch.molality,
            data.target,
            data.rows["row"],
            strict=True,
        )
    ]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_rows_are_taken_with_their_molecules_and_no_others(rows: list[int]) -> None:
    data = _data()
    taken = data.take(torch.tensor(rows))
    everything = _written_out(data)
    assert _written_out(taken) == [everything[row] for row in rows]
    held = {component for row in rows for component in (*everything[row][0], *everything[row][1])}
    assert set(taken.table.components) == held
    assert taken.batch.salts.shape == taken.batch.molality.shape == (len(rows), 2 if 1 in rows else 1)
    assert taken.rows.index.tolist() == list(range(len(rows)))
    assert [taken.target_name, taken.source] == ["y", "mixtures.csv"]
