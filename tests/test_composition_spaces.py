"""A space of compositions against trying every composition of its grid."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activelearn.composition_spaces import CompositionSpace
from activelearn.screening import Screen, by_mean, in_process, run
from surrogates.composition_batches import CompositionBatch, read_formulas
from surrogates.compositions import Composition, ions, parse_formula
from surrogates.prediction import Prediction

HIGH_ENTROPY = CompositionSpace(
    metals=("Mn2+", "Fe2+", "Ni2+", "Mg2+", "Mn3+", "Cr3+", "V3+", "Fe3+", "Ti4+", "Nb5+"),
    metals_per_composition=(4, 5, 6),
    lithium=(1.2, 1.25),
    fluorine=(0.2,),
    step=0.05,
)
LI_MN_O_F = CompositionSpace(
    metals=("Mn2+", "Mn3+", "Mn4+"),
    metals_per_composition=(1,),
    lithium=tuple(round(1.17 + 0.01 * step, 2) for step in range(17)),
    fluorine=tuple(round(0.02 * step, 2) for step in range(34)),
    step=0.01,
)
"""The spaces of the bundled jobs."""

IONS = {str(ion): ion for ion in ions() if ion.element != "Li"}
EXAMPLE = {
    "metals": ("Mn2+", "Mn3+", "Ti4+"),
    "metals_per_composition": (1, 2),
    "lithium": (1.2,),
    "fluorine": (0.0, 0.2),
    "step": 0.1,
}


@st.composite
def spaces(draw: st.DrawFn) -> CompositionSpace:
    parts = draw(st.sampled_from([4, 5, 10]))
    metals = draw(st.lists(st.sampled_from(sorted(IONS)), min_size=1, max_size=6, unique=True))
    elements = len({IONS[name].element for name in metals})
    sizes = draw(st.lists(st.integers(1, min(elements, 3)), min_size=1, max_size=3, unique=True))
    lithium = draw(st.lists(st.integers(1, 2 * parts - 1), min_size=1, max_size=3, unique=True))
    fluorine = draw(st.lists(st.integers(0, 2 * parts), min_size=1, max_size=3, unique=True))
    try:
        return CompositionSpace(
            metals=tuple(metals),
            metals_per_composition=tuple(sizes),
            lithium=tuple(steps / parts for steps in lithium),
            fluorine=tuple(steps / parts for steps in fluorine),
            step=1 / parts,
        )
    except ValueError as error:
        assert str(error).startswith("no composition of the space balances")
        return CompositionSpace(**EXAMPLE)


def tried(space: CompositionSpace) -> Iterator[dict[str, Fraction]]:
    """The compositions by nested loops and exact sums, in the order that the space promises."""
    elements: dict[str, list[int]] = {}
    for name in space.metals:
        elements.setdefault(IONS[name].element, []).append(IONS[name].charge)
    parts = round(1 / space.step)
    for size in space.metals_per_composition:
        for metals in itertools.combinations(elements, size):
            for lithium, fluorine in itertools.product(space.lithium, space.fluorine):
                left = 2 * parts - round(lithium * parts)
                asked = 4 * parts - round(fluorine * parts) - round(lithium * parts)
                for steps in itertools.product(range(1, left + 1), repeat=size):
                    paired = list(zip(metals, steps, strict=True))
                    low = sum(min(elements[metal]) * n for metal, n in paired)
                    high = sum(max(elements[metal]) * n for metal, n in paired)
                    if sum(steps) == left and low <= asked <= high:
                        amounts = {metal: Fraction(n, parts) for metal, n in paired}
                        yield {
                            "Li": Fraction(round(lithium * parts), parts),
                            **amounts,
                            "O": 2 - Fraction(round(fluorine * parts), parts),
                            "F": Fraction(round(fluorine * parts), parts),
                        }


@given(spaces())
def test_a_space_numbers_what_trying_gives_in_its_order(space: CompositionSpace) -> None:
    expected = [{element: n for element, n in amounts.items() if n} for amounts in tried(space)]
    assert len(space) == len(expected)
    frame = space.describe(range(len(space)))
    assert frame["candidate"].tolist() == list(range(len(space)))
    assert [parse_formula(formula) for formula in frame["formula"]] == [
        pytest.approx({element: float(n) for element, n in amounts.items()}, abs=1e-12)
        for amounts in expected
    ]
    assert frame["formula"].is_unique


@given(spaces())
def test_every_composition_balances(space: CompositionSpace) -> None:
    """Sites to 1e-9; charges between the sums of the lowest and of the highest states to 1e-9."""
    states: dict[str, list[int]] = {"Li": [1]}
    for name in space.metals:
        states.setdefault(IONS[name].element, []).append(IONS[name].charge)
    for formula in space.describe(range(len(space)))["formula"]:
        amounts = parse_formula(formula)
        anions = 2 * amounts.get("O", 0) + amounts.get("F", 0)
        cations = {element: n for element, n in amounts.items() if element not in "OF"}
        assert sum(cations.values()) == pytest.approx(2, abs=1e-9)
        assert amounts.get("O", 0) + amounts.get("F", 0) == pytest.approx(2, abs=1e-9)
        assert sum(n * min(states[element]) for element, n in cations.items()) <= anions + 1e-9
        assert sum(n * max(states[element]) for element, n in cations.items()) >= anions - 1e-9
        assert Composition.of(formula).faults() == []


@given(spaces(), st.data())
def test_a_range_holds_what_describe_says(space: CompositionSpace, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(space)))
    stop = data.draw(st.integers(start, min(len(space), start + 50)))
    batch = space[start:stop]
    frame = space.describe(range(start, stop))
    assert len(batch) == stop - start
    assert batch.weights.dtype == batch.fluorine.dtype == torch.float32
    if stop == start:
        return
    table, read = read_formulas(frame["formula"].tolist())
    assert torch.allclose(_dense(batch, space.table.elements), _dense(read, table.elements, space))
    assert torch.allclose(batch.fluorine, read.fluorine)
    assert torch.equal(
        batch.cations[batch.weights == 0], torch.zeros(int((batch.weights == 0).sum()), dtype=int)
    )
    for slot in range(max(space.metals_per_composition)):
        symbols = [space.table.elements[row] for row in batch.cations[:, slot + 1].tolist()]
        metal, used = frame[f"metal_{slot + 1}"], batch.weights[:, slot + 1] > 0
        assert metal.notna().tolist() == used.tolist()
        assert all(a == b for a, b in zip(symbols, metal, strict=True) if not pd.isna(b))
        amount = torch.tensor(frame[f"amount_{slot + 1}"].to_numpy(dtype="float32")).nan_to_num()
        assert torch.allclose(2 * batch.weights[:, slot + 1], amount)
    assert torch.allclose(2 * batch.weights[:, 0], torch.tensor(frame["lithium"].to_numpy(dtype="float32")))
    assert torch.allclose(2 * batch.fluorine, torch.tensor(frame["fluorine"].to_numpy(dtype="float32")))


def _dense(
    batch: CompositionBatch, elements: tuple[str, ...], order: CompositionSpace | None = None
) -> torch.Tensor:
    """Weights by element, `n x u`, in the order of a space's table if one is given."""
    wanted = elements if order is None else order.table.elements
    rows = torch.tensor([wanted.index(element) for element in elements])
    dense = torch.zeros(len(batch), len(wanted))
    return dense.scatter_add(1, rows[batch.cations], batch.weights)


@given(spaces(), st.data())
def test_a_candidate_is_the_same_alone_as_in_a_list(space: CompositionSpace, data: st.DataObject) -> None:
    candidates = data.draw(st.lists(st.integers(0, len(space) - 1), min_size=1, max_size=20))
    whole = space.describe(range(len(space)))
    pd.testing.assert_frame_equal(space.describe(candidates), whole.iloc[candidates].reset_index(drop=True))


def test_ones_and_nothings_are_not_written() -> None:
    space = CompositionSpace(("Mn3+", "Ti4+"), (1, 2), (1.0,), (0.0, 0.5, 2.0), 0.5)
    assert space.describe(range(len(space)))["formula"].tolist() == ["LiMnO2"]
    mixed = CompositionSpace(("Mn2+", "Mn3+", "Ti4+"), (1, 2), (1.0,), (0.0, 0.5, 1.0, 2.0), 0.5)
    assert mixed.describe(range(len(mixed)))["formula"].tolist() == [
        "LiMnO2", "LiMnO1.5F0.5", "LiMnOF", "LiMn0.5Ti0.5O2"
    ]  # fmt: skip


def test_an_element_of_several_charges_stands_once_whichever_ions_make_it_up() -> None:
    """Mn2+ with Fe3+ and Mn3+ with Fe2+ are one formula."""
    space = CompositionSpace(("Mn2+", "Mn3+", "Fe2+", "Fe3+"), (1, 2), (1.0,), (0.5,), 0.25)
    assert space.describe(range(len(space)))["formula"].tolist() == [
        "LiMnO1.5F0.5", "LiFeO1.5F0.5", "LiMn0.25Fe0.75O1.5F0.5", "LiMn0.5Fe0.5O1.5F0.5",
        "LiMn0.75Fe0.25O1.5F0.5",
    ]  # fmt: skip
    assert len(CompositionSpace(("Mn2+", "Fe3+"), (1, 2), (1.0,), (0.5,), 0.25)) == 1


def test_a_group_stands_for_its_ions() -> None:
    space = CompositionSpace(("Mn2+", "d0"), (2,), (1.2,), (0.0,), 0.1)
    assert space.table.elements == ("Li", "Mn", "Ti", "Zr", "Hf", "V", "Nb", "Ta", "Mo", "W")
    listed = ("Mn2+", "Ti4+", "Zr4+", "Hf4+", "V5+", "Nb5+", "Ta5+", "Mo6+", "W6+")
    same = CompositionSpace(listed, (2,), (1.2,), (0.0,), 0.1)
    pd.testing.assert_frame_equal(space.describe(range(len(space))), same.describe(range(len(same))))


def test_the_bundled_spaces_hold_the_compositions_of_the_paper() -> None:
    assert len(HIGH_ENTROPY) == 55_501
    formulas = HIGH_ENTROPY.describe(range(len(HIGH_ENTROPY)))
    assert formulas["formula"].is_unique
    assert formulas["metal_4"].notna().all()
    assert (
        formulas["formula"]
        .isin(["Li1.2Mn0.1Mg0.1Cr0.3Ti0.2Nb0.1O1.8F0.2", "Li1.2Mn0.1Mg0.1Cr0.15V0.15Ti0.2Nb0.1O1.8F0.2"])
        .sum()
        == 2
    )  # HE-1 and HE-2, written in the order of the space's elements

    assert len(LI_MN_O_F) == 17 * 34  # every point of the map balances
    corners = LI_MN_O_F.describe([0, 33, 16 * 34, 16 * 34 + 33])["formula"].tolist()
    assert corners == ["Li1.17Mn0.83O2", "Li1.17Mn0.83O1.34F0.66", "Li1.33Mn0.67O2", "Li1.33Mn0.67O1.34F0.66"]


def test_a_space_of_billions_is_read_at_its_end_at_once() -> None:
    space = CompositionSpace(
        metals=("divalent", "Mn3+", "Cr3+", "V3+", "Fe3+", "Al3+", "Ti4+", "Zr4+", "Nb5+"),
        metals_per_composition=(4, 5, 6),
        lithium=(1.1, 1.2, 1.3),
        fluorine=(0.0, 0.1, 0.2),
        step=0.02,
    )
    assert len(space) > 10**9
    last = space.describe([len(space) - 1]).iloc[0]
    assert [last[f"metal_{i}"] for i in range(1, 7)] == ["Cr", "V", "Al", "Ti", "Zr", "Nb"]
    assert Composition.of(last["formula"]).faults() == []
    assert len(space[len(space) - 5 :]) == 5


def test_a_space_travels_as_its_fields() -> None:
    assert len(pickle.dumps(HIGH_ENTROPY)) < 1000
    assert pickle.loads(pickle.dumps(HIGH_ENTROPY)) == HIGH_ENTROPY
    assert len(pickle.loads(pickle.dumps(HIGH_ENTROPY))) == len(HIGH_ENTROPY)


@dataclass(frozen=True)
class MostNiobium:
    """A predictor whose mean is the amount of niobium."""

    row: int
    target: str = "niobium"

    def predict(self, batch: CompositionBatch) -> Prediction:
        mean = 2 * (batch.weights * (batch.cations == self.row)).sum(-1)
        one = torch.ones_like(mean)
        return Prediction(mean, one, one, mean > 0, 1.5 * one)


def test_a_screen_takes_the_space_as_it_takes_mixtures() -> None:
    predictor = MostNiobium(HIGH_ENTROPY.table.elements.index("Nb"))
    screen = Screen(HIGH_ENTROPY, predictor, by_mean, top_k=5)
    *_, standing = run(screen, in_process)
    assert standing.candidates == len(HIGH_ENTROPY)
    formulas = HIGH_ENTROPY.describe(range(len(HIGH_ENTROPY)))
    niobium = sum(
        formulas[f"amount_{slot}"].where(formulas[f"metal_{slot}"] == "Nb", 0.0) for slot in range(1, 7)
    )
    best = niobium.round(9).sort_values(ascending=False, kind="stable").head(5)
    assert standing.top["candidate"].tolist() == best.index.tolist()
    assert standing.top["mean"].tolist() == pytest.approx(best.tolist())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"metals": ()}, "metals is empty; a space needs at least one"),
        ({"fluorine": ()}, "fluorine is empty; a space needs at least one"),
        ({"lithium": (1.2, 1.2)}, "lithium holds one value twice; give each once"),
        ({"fluorine": (0.1, 0.1 + 1e-9)}, "fluorine holds one value twice; give each once"),
        ({"step": 0.3}, "step is 0.3; a whole number of steps must make 1"),
        ({"step": 0.0}, "step is 0.0; a whole number of steps must make 1"),
        ({"step": 1e-320}, "step is 1e-320; a whole number of steps must make 1"),
        ({"step": float("nan")}, "step is nan; a whole number of steps must make 1"),
        ({"lithium": (1.25,)}, "lithium holds 1.25, which is no multiple of the step 0.1"),
        ({"lithium": (2.0,)}, "lithium holds 2.0; each must lie above 0 and below 2, for two anions"),
        ({"fluorine": (float("nan"),)}, "fluorine holds nan; each must lie from 0 to 2, for two anions"),
        ({"fluorine": (-0.1,)}, "fluorine holds -0.1; each must lie from 0 to 2, for two anions"),
        (
            {"metals": ("Mn2+", "Mn5+")},
            'metals holds "Mn5+", which is no ion or group of surrogates/ions.csv besides lithium. '
            "Those of its element are Mn2+, Mn3+, Mn4+",
        ),
        (
            {"metals": ("Mn2+", "divalant")},
            'metals holds "divalant", which is no ion or group of surrogates/ions.csv besides lithium. '
            'Did you mean "divalent"? Write it as Mn2+ or d0',
        ),
        (
            {"metals": ("Li+",)},
            'metals holds "Li+", which is no ion or group of surrogates/ions.csv besides lithium. '
            "Write it as Mn2+ or d0",
        ),
        (
            {"metals_per_composition": (1, 3)},
            "metals_per_composition is [1, 3]; each must lie between 1 and 2, the number of elements among "
            "the metals",
        ),
        (
            {"metals": ("Mn2+", "Fe2+")},
            "no composition of the space balances; give other metals, lithium or fluorine",
        ),
        (
            {"metals": ("divalent", "trivalent", "d0"), "metals_per_composition": (13,)},
            "there are 10400600 sets of metals with a lithium and a fluorine content, at most 1048576 can be "
            "numbered; give fewer metals or contents",
        ),
        (
            {"metals": ("divalent", "Sc3+", "d0"), "metals_per_composition": (8,), "step": 0.001},
            "the space may have 2**63 candidates or more, too many to number",
        ),
    ],
)
def test_an_impossible_space_says_why(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as error:
        CompositionSpace(**{**EXAMPLE, **wrong})
    assert str(error.value) == message


def test_a_space_is_read_in_whole_ranges_of_its_own() -> None:
    with pytest.raises(ValueError, match="a space is read in ranges of step 1, not 2"):
        LI_MN_O_F[0:10:2]
    for candidate in (-1, 578):
        with pytest.raises(IndexError, match="the space has candidates 0 to 577"):
            LI_MN_O_F.describe([candidate])
    assert len(LI_MN_O_F[5:2]) == len(LI_MN_O_F.describe([])) == 0
