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


def _data() -> MixtureData:
    longer = Component(POLYMER.smiles, 1e5)
    solvents, weights = [[EC, DMC], [POLYMER], [DMC], [longer, EC]], [[0.3, 0.6], [0.9], [0.8], [0.5, 0.4]]
    table, batch = tabulate(solvents, weights, [SALT, OTHER, OTHER, SALT], [1.0, 2.0, 3.0, 4.0], [298.15] * 4)
    frame = mixture_rows(table, batch, range(2, 6), np.zeros(4, dtype=bool))
    return MixtureData(table, batch, torch.arange(4.0), "y", frame, "mixtures.csv", "", ())


def _written_out(data: MixtureData) -> list[tuple[dict[Component, float], Component, float, float, int]]:
    components = data.table.components
    return [
        (
            {components[s]: w for s, w in zip(solvents.tolist(), weights.tolist(), strict=True) if w > 0},
            components[int(salt)],
            float(molality),
            float(target),
            int(row),
        )
        for solvents, weights, salt, molality, target, row in zip(
            data.batch.solvents,
            data.batch.weights,
            data.batch.salt,
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
    held = {component for row in rows for component in (*everything[row][0], everything[row][1])}
    assert set(taken.table.components) == held
    assert taken.rows.index.tolist() == list(range(len(rows)))
    assert [taken.target_name, taken.source] == ["y", "mixtures.csv"]
