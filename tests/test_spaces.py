"""A space against the plain nested loops it stands for."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activelearn.spaces import MixtureSpace
from surrogates.molecules import Component
from tests.synthetic_mixtures import small_ensemble

ALCOHOLS = {"C" * n + "OH": Component.of("C" * n + "O") for n in range(1, 7)}
SALTS = {name: Component.of(f"[Li+].[{name[2:]}-]") for name in ("LiF", "LiCl", "LiBr", "LiI")}


def head(components: dict[str, Component], count: int) -> dict[str, Component]:
    return dict(itertools.islice(components.items(), count))


@st.composite
def spaces(draw: st.DrawFn) -> MixtureSpace:
    solvents = draw(st.integers(1, 6))
    sizes = draw(st.lists(st.integers(1, min(4, solvents)), min_size=1, max_size=3, unique=True))
    parts = draw(st.one_of(st.none(), st.integers(max(sizes), 7)))
    return MixtureSpace(
        solvents=head(ALCOHOLS, solvents),
        salts=head(SALTS, draw(st.integers(1, 4))),
        solvents_per_mixture=tuple(sizes),
        fraction_step=None if parts is None else 1 / parts,
        molality_mol_kg=tuple(draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.5]), min_size=1, unique=True))),
        temperature_K=tuple(draw(st.lists(st.sampled_from([253.15, 298.15]), min_size=1, unique=True))),
    )


def loops(space: MixtureSpace) -> Iterator[tuple[object, ...]]:
    """The candidates as ((solvent, fraction), ...), salt, molality, temperature, by nested loops."""
    for size in space.solvents_per_mixture:
        for subset in itertools.combinations(space.solvents, size):
            if space.fraction_step is None:
                shares = [(1 / size,) * size]
            else:
                parts = round(1 / space.fraction_step)
                steps = itertools.product(range(1, parts + 1), repeat=size)
                shares = [tuple(n / parts for n in counts) for counts in steps if sum(counts) == parts]
            for fractions in shares:
                for condition in itertools.product(space.salts, space.molality_mol_kg, space.temperature_K):
                    yield tuple(zip(subset, fractions, strict=True)), *condition


def told(space: MixtureSpace, frame: pd.DataFrame) -> list[tuple[object, ...]]:
    """The rows of `describe` in the form of `loops`."""
    slots = range(1, max(space.solvents_per_mixture) + 1)
    return [
        (
            tuple(
                (row[f"solvent_{i}"], row[f"weight_fraction_{i}"])
                for i in slots
                if not pd.isna(row[f"solvent_{i}"])
            ),
            row["salt"],
            row["molality_mol_kg"],
            row["temperature_K"],
        )
        for row in frame.to_dict("records")
    ]


@given(spaces())
def test_a_space_numbers_what_nested_loops_give_in_their_order(space: MixtureSpace) -> None:
    expected = list(loops(space))
    assert len(space) == len(expected)
    assert told(space, space.describe(range(len(space)))) == expected


@given(spaces(), st.data())
def test_an_empty_range_is_an_empty_batch_with_an_empty_prediction(
    space: MixtureSpace, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(space) + 5))
    batch = space[start : data.draw(st.integers(0, start))]
    assert len(batch) == len(batch.expand()) == 0
    predictor = small_ensemble().bind(space.table)
    for said in (predictor.predict(batch), predictor.predict(batch.expand())):
        for part in (said.mean, said.std, said.epistemic, said.aleatoric, said.in_domain):
            assert part.shape == (0,)
    assert len(space.describe([])) == 0


@given(spaces(), st.data())
def test_a_range_holds_what_describe_says(space: MixtureSpace, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(space)))
    stop = data.draw(st.integers(start, len(space)))
    batch = space[start:stop].expand()
    frame = space.describe(range(start, stop))
    components = space.table.components
    assert len(batch) == len(space[start:stop]) == stop - start
    for slot in range(max(space.solvents_per_mixture)):
        fraction = torch.tensor(frame[f"weight_fraction_{slot + 1}"].to_numpy(dtype="float32")).nan_to_num()
        assert torch.equal(batch.weights[:, slot], fraction)
        smiles = [components[row].smiles for row in batch.solvents[:, slot].tolist()]
        stated = frame[f"solvent_{slot + 1}_smiles"].tolist()
        assert all(a == b for a, b, f in zip(smiles, stated, fraction, strict=True) if f > 0)
    assert [components[row].smiles for row in batch.salts[:, 0].tolist()] == frame["salt_smiles"].tolist()
    assert batch.molality[:, 0].tolist() == frame["molality_mol_kg"].tolist()
    assert batch.temperature_K.tolist() == pytest.approx(frame["temperature_K"].tolist())
    assert torch.allclose(batch.weights.sum(-1), torch.ones(stop - start))


@given(spaces(), st.data())
def test_candidates_in_any_order_are_those_of_the_range(space: MixtureSpace, data: st.DataObject) -> None:
    candidates = torch.tensor(
        data.draw(st.lists(st.integers(0, len(space) - 1), max_size=20)), dtype=torch.int64
    )
    every, some = space[:].expand(), space.at(candidates)
    assert len(some) == len(candidates)
    assert torch.equal(some.to_rows(), every[candidates].to_rows())


@given(spaces(), st.data())
def test_amounts_in_float64_are_those_that_the_space_lists(space: MixtureSpace, data: st.DataObject) -> None:
    candidates = data.draw(st.lists(st.integers(0, len(space) - 1), min_size=1, max_size=20))
    exact, listed = space.at(torch.tensor(candidates), torch.float64), space.describe(candidates)
    assert exact.temperature_K.tolist() == listed["temperature_K"].tolist()
    assert exact.molality[:, 0].tolist() == listed["molality_mol_kg"].tolist()
    first = listed["weight_fraction_1"].to_numpy()
    assert exact.weights[:, 0].tolist() == first.tolist()


@given(spaces(), st.data())
def test_a_candidate_is_the_same_alone_as_in_a_list(space: MixtureSpace, data: st.DataObject) -> None:
    candidates = data.draw(st.lists(st.integers(0, len(space) - 1), min_size=1, max_size=20))
    whole = space.describe(range(len(space)))
    pd.testing.assert_frame_equal(space.describe(candidates), whole.iloc[candidates].reset_index(drop=True))


def test_a_space_of_ten_billion_is_read_at_its_end_at_once() -> None:
    space = MixtureSpace(
        solvents={f"chain {n}": Component.of("C" * n + "O") for n in range(1, 41)},
        salts=SALTS,
        solvents_per_mixture=(1, 2, 3, 4),
        fraction_step=0.02,
        molality_mol_kg=(0.5, 1.0, 1.5),
    )
    assert len(space) > 10**10
    last = space.describe([len(space) - 1]).iloc[0]
    assert [last[f"solvent_{i}"] for i in (1, 2, 3, 4)] == ["chain 37", "chain 38", "chain 39", "chain 40"]
    assert [last[f"weight_fraction_{i}"] for i in (1, 2, 3, 4)] == pytest.approx([0.94, 0.02, 0.02, 0.02])
    assert (last["salt"], last["molality_mol_kg"]) == ("LiI", 1.5)
    assert len(space[len(space) - 5 :]) == 5


def test_a_range_within_one_mixture_carries_only_its_conditions() -> None:
    space = MixtureSpace(ALCOHOLS, SALTS, molality_mol_kg=tuple(range(100)))
    assert len(space[410:420].salt) == 10
    assert len(space[390:410].salt) == 400


def test_the_same_repeat_unit_may_stand_twice_as_chains_of_other_mass() -> None:
    unit = "[Cu]COC[Au]"
    space = MixtureSpace({"short": Component.of(unit, 400), "long": Component.of(unit, 4000)}, SALTS, (1,))
    assert len(space.table) == 2 + len(SALTS)
    assert space.describe([0, 4])["solvent_1"].tolist() == ["short", "long"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"salts": {}}, "salts is empty; a space needs at least one"),
        ({"molality_mol_kg": (1.0, 1.0)}, "molality_mol_kg holds one value twice; give each once"),
        (
            {"solvents": {"a": Component.of("O"), "b": Component.of("[OH2]")}},
            "solvents holds one value twice; give each once",
        ),
        (
            {"solvents_per_mixture": (2, 7)},
            "solvents_per_mixture is [2, 7]; each must lie between 1 and 6, the number of solvents",
        ),
        ({"fraction_step": 0.3}, "fraction_step is 0.3; a whole number of steps must make 1"),
        (
            {"fraction_step": 1.0},
            "fraction_step is 1.0; 2 solvents of at least one step each exceed 1",
        ),
        (
            {"solvents_per_mixture": (6,), "fraction_step": 1e-4, "molality_mol_kg": tuple(range(1, 2001))},
            "the space has 2**63 candidates or more, too many to number",
        ),
    ],
)
def test_an_impossible_space_says_why(wrong: dict[str, object], message: str) -> None:
    factors = {"solvents": ALCOHOLS, "salts": SALTS, **wrong}
    with pytest.raises(ValueError) as error:
        MixtureSpace(**factors)
    assert str(error.value) == message


def test_a_space_is_read_in_whole_ranges_of_its_own() -> None:
    space = MixtureSpace(ALCOHOLS, SALTS)
    with pytest.raises(ValueError, match="a space is read in ranges of step 1, not 2"):
        space[0:10:2]
    with pytest.raises(IndexError, match="the space has candidates 0 to 59"):
        space.describe([60])


def test_the_published_candidates_stand_in_the_published_order(reference_dir: Path) -> None:
    with (reference_dir / "molsets_candidates.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    solvents = dict.fromkeys(row[key] for row in rows for key in ("solvent_1", "solvent_2"))
    salts = dict.fromkeys(row["salt"] for row in rows)
    space = MixtureSpace({s: Component.of(s) for s in solvents}, {s: Component.of(s) for s in salts})
    frame = space.describe(range(len(space)))
    for column in ("solvent_1", "solvent_2", "salt"):
        assert frame[column].tolist() == [row[column] for row in rows]
