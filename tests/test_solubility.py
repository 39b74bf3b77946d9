"""Salt limits and the ideal liquidus against hand computation, and what is without data."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from activelearn.chemical_constraints import MixtureVariables
from activelearn.constraints import Constraints, Linear
from activelearn.solubility import (
    GAS_CONSTANT,
    LiquidRange,
    SharedSolvent,
    Solubility,
    read_limits,
    salt_limits,
)
from surrogates.chemicals import resolve
from surrogates.errors import InputError
from surrogates.molecule_facts import solvent_facts
from surrogates.molecules import Component


def variables(solvents: tuple[str, ...], salts: tuple[str, ...]) -> MixtureVariables:
    solvent, salt = ({name: Component.of(resolve(name)) for name in names} for names in (solvents, salts))
    return MixtureVariables(solvent, salt)


FEW = variables(("EC", "DMC", "toluene", "SN"), ("LiPF6", "LiBOB", "LiTDI"))
ROOM = (298.15, 298.15)
SHIPPED = Solubility(FEW, ROOM)


def x_of(
    fractions: tuple[float, ...], molality: tuple[float, ...], temperature_K: float = 298.15
) -> torch.Tensor:
    return torch.tensor([[*fractions, *molality, temperature_K]], dtype=torch.float64)


def test_limits_are_those_of_the_reference(reference_dir: Path) -> None:
    with (reference_dir / "salts.csv").open(encoding="utf-8") as lines:
        reference = {
            Component.of(row["smiles"]).smiles: float(row["min_solvent_per_Li"])
            for row in csv.DictReader(lines)
        }
    assert {name: one.solvents_per_lithium for name, one in salt_limits().items()} == reference
    assert all(one.source.startswith(("READ: ", "RECALLED: ", "GUESS: ")) for one in salt_limits().values())


@given(st.floats(0.05, 0.9), st.floats(0, 10))
def test_a_lithium_needs_so_many_molecules(share: float, molality: float) -> None:
    lipf6 = Solubility(FEW, ROOM).constraints()[0]
    x = x_of((share, 1 - share, 0, 0), (molality, 0, 0))
    moles = 1000 * (share / 88.062 + (1 - share) / 90.078)
    assert isinstance(lipf6, Linear)
    assert (lipf6.name, lipf6.unit) == ("solubility of LiPF6", "mol/kg")
    assert float(lipf6.residual(x)) == pytest.approx(moles / 2 - molality, rel=1e-4, abs=1e-4)


def test_nothing_without_data_is_taken_for_soluble() -> None:
    solubility = Solubility(FEW, ROOM)
    constraints = Constraints(FEW.names, (), solubility.constraints())
    assert solubility.unknown_salts == ("LiTDI",)
    assert [str(one) for one in constraints.violations(x_of((1, 0, 0, 0), (0, 0, 0.5))[0])] == [
        '"solubility: no data on the salt" is missed by 0.5 mol/kg'
    ]
    alone = x_of(
        (0, 0, 0.5, 0.5), (0.1, 0, 0)
    )  # toluene does not bind lithium, of succinonitrile nothing is known
    assert [str(one) for one in constraints.violations(alone[0])] == [
        '"solubility of LiPF6" is missed by 0.1 mol/kg'
    ]
    assert solubility.source(["EC", "toluene", "SN"], "LiPF6") == (
        "2 solvents a Li, READ: solvate LiPF6.2DEC melts at 27.1 C, Varlamova 2000 Russ J Gen Chem 70,511 "
        "(abstract); not counted: toluene, SN"
    )
    assert solubility.source(["EC"], "LiTDI") == "no data on LiTDI"


def test_the_limit_of_the_salt_that_is_there() -> None:
    rows = [x_of((1, 0, 0, 0), molality) for molality in ((0.1, 0, 0), (0, 0.1, 0), (0, 0, 0.1), (0, 0, 0))]
    pf6, bob, unknown, none = Solubility(FEW, ROOM).limit(torch.cat(rows)).tolist()
    assert (pf6, bob) == (pytest.approx(1000 / 88.062 / 2, 1e-4), pytest.approx(1000 / 88.062 / 8, 1e-4))
    assert math.isnan(unknown)
    assert none == math.inf


TABLE = """\
solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,molality_mol_kg,temperature_K
EC,1,,,LiTDI,2.0,298.15
EC,0.5,DMC,0.5,LiPF6,1.5,300
DMC,1,,,LiPF6,3.0,298.15
DMC,1,,,LiPF6,0.5,263.15
"""


def table(tmp_path: Path, text: str = TABLE) -> Path:
    path = tmp_path / "limits.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_of_the_users_own_goes_first(tmp_path: Path) -> None:
    solubility = Solubility(FEW, ROOM, read_limits(table(tmp_path)))
    assert solubility.unknown_salts == ()
    assert solubility.unused_rows == ("limits.csv, row 5",)
    limit = solubility.limit(
        torch.cat(
            [
                x_of((1, 0, 0, 0), (0, 0, 0.1)),
                x_of((0.5, 0.5, 0, 0), (0.1, 0, 0)),
                x_of((0, 1, 0, 0), (0.1, 0, 0)),
                x_of((0, 1, 0, 0), (0, 0.1, 0)),
                x_of((0, 1, 0, 0), (0, 0, 0.1)),
            ]
        )
    )
    moles = 500 / 88.062 + 500 / 90.078
    expected = [2.0, 1.5, 1000 / 90.078 / (moles / 1.5), 1000 / 90.078 / 8, 0.0]
    assert limit.tolist() == pytest.approx(expected, rel=1e-4)
    assert solubility.source(["EC"], "LiTDI") == "measured: limits.csv, row 2"
    assert solubility.source(["DMC"], "LiTDI") == "not counted: DMC"
    cold = Solubility(FEW, (263.15, 298.15), read_limits(table(tmp_path)))
    assert cold.limit(x_of((0, 1, 0, 0), (0.1, 0, 0))).tolist() == pytest.approx([0.5])


def test_a_row_of_a_table_has_one_salt(tmp_path: Path) -> None:
    header = "solvent_1,weight_fraction_1,salt_1,molality_mol_kg_1,salt_2,molality_mol_kg_2,temperature_K\n"
    with pytest.raises(InputError) as error:
        read_limits(table(tmp_path, f"{header}EC,1,LiPF6,1,LiBOB,1,300\nEC,1,,,,,300\nEC,1,LiPF6,1,,,300\n"))
    mend = "Give one salt above 0, a small amount where next to nothing dissolves."
    assert str(error.value).splitlines() == [
        f"limits.csv, row 2: 2 salts came; the most of one salt was expected. {mend}",
        f"limits.csv, row 3: no salt came; the most of one salt was expected. {mend}",
    ]


PLAIN = Solubility(variables(("EC", "toluene", "DMC"), ("LiPF6", "LiTDI", "LiBOB")), ROOM)
shares = st.lists(st.floats(0.01, 1), min_size=3, max_size=3)


@given(shares, st.floats(0, 5), st.floats(0, 5))
def test_salts_share_the_molecules_of_solvent(parts: list[float], lipf6: float, libob: float) -> None:
    (joint,) = PLAIN.together()
    assert isinstance(joint, Linear)
    assert (joint.name, joint.unit) == ("solubility of all salts together", "mol/kg")
    ec, toluene, dmc = (part / sum(parts) for part in parts)
    expected = 1000 * (ec / 88.062 + dmc / 90.078) - 2 * lipf6 - 8 * libob  # toluene binds no lithium
    x = x_of((ec, toluene, dmc), (lipf6, 0, libob))
    assert float(joint.residual(x)) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.fixture(scope="module")
def by_solvent(tmp_path_factory: pytest.TempPathFactory) -> Solubility:
    """LiPF6 and LiTDI by the user's table, which does not agree with what is shipped."""
    return Solubility(FEW, ROOM, read_limits(table(tmp_path_factory.mktemp("own"))))


@given(parts=shares, salts=st.lists(st.floats(0, 3), min_size=3, max_size=3))
def test_what_salts_take_of_their_limits_sums_to_one_where_a_table_tells_solvents_apart(
    by_solvent: Solubility, parts: list[float], salts: list[float]
) -> None:
    (joint,) = by_solvent.together()
    assert isinstance(joint, SharedSolvent)
    ec, dmc, toluene = (part / sum(parts) for part in parts)
    x = x_of((ec, dmc, toluene, 0.0), tuple(salts))
    alone = [ec * float(by_solvent.limits[0, s]) + dmc * float(by_solvent.limits[1, s]) for s in range(3)]
    taken = sum(molality / limit for molality, limit in zip(salts, alone, strict=True))
    assert float(joint.residual(x)) == pytest.approx(1 - taken)
    assert torch.autograd.gradcheck(joint.residual, x.requires_grad_(), eps=1e-7, atol=1e-3)


@pytest.mark.parametrize("name", ["shipped", "own"])
@given(parts=shares, salt=st.integers(0, 2), part_of_limit=st.floats(0.5, 1.5))
def test_of_one_salt_the_joint_limit_is_its_own(
    by_solvent: Solubility, name: str, parts: list[float], salt: int, part_of_limit: float
) -> None:
    if abs(part_of_limit - 1) < 1e-4:  # where the one tolerance ends before the other
        return
    solubility = {"shipped": SHIPPED, "own": by_solvent}[name]
    ec, dmc, toluene = (part / sum(parts) for part in parts)
    fractions = (ec, dmc, toluene, 0.0)
    limit = float(solubility.limits[:, salt] @ torch.tensor(fractions, dtype=torch.float64))
    x = x_of(fractions, tuple(part_of_limit * limit * (s == salt) for s in range(3)))
    each = Constraints(FEW.names, (), solubility.constraints()).is_feasible(x)
    both = Constraints(FEW.names, (), (*solubility.constraints(), *solubility.together()))
    assert torch.equal(both.is_feasible(x), each)
    assert bool(each) == (part_of_limit <= 1 or limit == 0)  # of LiTDI the file that ships says nothing


def test_fewer_than_two_salts_with_data_share_nothing() -> None:
    assert Solubility(variables(("EC",), ("LiPF6", "LiTDI")), ROOM).together() == ()
    assert Solubility(variables(("toluene",), ("LiPF6", "LiBOB")), ROOM).together() == ()


PAIR = variables(("EC", "DMC"), ("LiPF6",))
LIQUID = LiquidRange(PAIR)


def test_pure_solvents_melt_at_their_melting_points() -> None:
    for name, component in PAIR.solvents.items():
        fractions = (float(name == "EC"), float(name == "DMC"))
        melting = solvent_facts()[component.smiles].melting_point_K
        assert LIQUID.liquidus_K(x_of(fractions, (0.0,))).item() == pytest.approx(melting)


@given(st.floats(0.01, 0.99), st.floats(0, 3), st.floats(200, 330))
def test_the_liquidus_solves_its_equation(share: float, molality: float, temperature_K: float) -> None:
    x = x_of((share, 1 - share), (molality,), temperature_K)
    moles = {"EC": 1000 * share / 88.062, "DMC": 1000 * (1 - share) / 90.078}
    total = sum(moles.values()) + 2 * molality
    expected = 0.0
    for name, one in moles.items():
        facts = solvent_facts()[PAIR.solvents[name].smiles]
        enthalpy, melting = facts.fusion_enthalpy_J_mol, facts.melting_point_K
        expected = max(expected, enthalpy / (enthalpy / melting - GAS_CONSTANT * math.log(one / total)))
    assert LIQUID.liquidus_K(x).item() == pytest.approx(expected, rel=1e-5)
    assert LIQUID.residual(x).item() == pytest.approx(temperature_K - expected, abs=0.01)
    inner = x[:, :3].detach().clone().requires_grad_()
    if abs(float(LIQUID.liquidus_K(x - 1e-3 * (x > 0)) - LIQUID.liquidus_K(x))) < 1:
        (slope,) = torch.autograd.grad(LIQUID.residual(torch.cat([inner, x[:, 3:]], 1)).sum(), inner)
        assert slope.isfinite().all()


@given(st.floats(0.05, 0.95), st.floats(0.01, 3))
def test_the_gradient_of_the_liquid_range_is_its_difference(share: float, molality: float) -> None:
    x = x_of((share, 1 - share), (molality,))
    apart = [LiquidRange(variables((name,), ("LiPF6",))) for name in ("EC",)]
    assert apart[0].liquidus_K(x_of((1.0,), (0.0,))).item() == pytest.approx(309.5)
    nudged = LIQUID.liquidus_K(x + torch.tensor([[1e-4, -1e-4, 0, 0]], dtype=torch.float64))
    back = LIQUID.liquidus_K(x - torch.tensor([[1e-4, -1e-4, 0, 0]], dtype=torch.float64))
    here = LIQUID.liquidus_K(x)
    if (
        float((nudged - here) * (here - back)) <= 0
    ):  # the eutectic, where another solvent begins to freeze first
        return
    assert torch.autograd.gradcheck(LIQUID.residual, x.requires_grad_(), eps=1e-6, atol=1e-3)


def test_an_absent_solvent_freezes_nothing_and_has_a_finite_gradient() -> None:
    x = x_of((0.0, 1.0), (1.0,)).requires_grad_()
    residual = LIQUID.residual(x)
    residual.sum().backward()
    assert residual.item() == pytest.approx(
        298.15 - 12000 / (12000 / 277.1 - 8.3145 * math.log(0.84735)), abs=0.01
    )
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_solvents_without_data_are_named_and_kept_out() -> None:
    some = variables(("EC", "FEC", "DBP"), ("LiPF6",))
    liquid = LiquidRange(some)
    assert liquid.unknown_solvents == ("FEC", "DBP")
    x = x_of((0.4, 0.3, 0.3), (1.0,), 300.0)
    told = Constraints(some.names, (), liquid.constraints()).violations(x[0])
    assert [str(one) for one in told] == ['"liquid range: no data on a solvent" is missed by 0.6']
    assert liquid.liquidus_K(x_of((0.0, 1.0, 0.0), (1.0,))).item() < 1
    assert liquid.source(["FEC", "EC"]) == (
        "no data on FEC; EC: ChemSep TT=309.55; RECALLED Ding 2004 JCED 49,276, to be verified (ChemSep "
        "lists 10000)"
    )
