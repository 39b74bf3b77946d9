import csv
import math
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from activelearn.landscape import TernarySystem
from campaigns.virtual_conductivity import (
    LABELS,
    VirtualConductivity,
    salt_constants,
    solvent_constants,
)
from surrogates.batches import MixtureBatch
from surrogates.chemicals import name_of, resolve
from surrogates.errors import InputError
from surrogates.molecules import Component, MoleculeTable

CAMPAIGNS = Path(__file__).parent.parent / "campaigns"


def file_rows(name: str) -> dict[str, dict[str, str]]:
    lines = (CAMPAIGNS / name).read_text(encoding="utf-8").splitlines()
    return {row["name"]: row for row in csv.DictReader(line for line in lines if not line.startswith("#"))}


SOLVENTS, SALTS = file_rows("virtual_solvents.csv"), file_rows("virtual_salts.csv")
TABLE = MoleculeTable.build(Component.of(resolve(name)) for name in (*SOLVENTS, *SALTS, "benzene", "LiTDI"))
LAW = VirtualConductivity.bind(TABLE)
PLACE = {name_of(component.smiles): row for row, component in enumerate(TABLE.components)}


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def mixture(solvents: dict[str, float], salts: dict[str, float], temperature_K: float) -> MixtureBatch:
    return MixtureBatch(
        solvents=torch.tensor([[PLACE[name] for name in solvents]]),
        weights=numbers(*solvents.values())[None],
        salts=torch.tensor([[PLACE[name] for name in salts]]),
        molality=numbers(*salts.values())[None],
        temperature_K=numbers(temperature_K),
    )


def said(solvents: dict[str, float], salts: dict[str, float], temperature_K: float) -> float:
    return float(LAW.conductivity(mixture(solvents, salts, temperature_K))[0])


def slow(solvents: dict[str, float], salt: str, m: float, T: float) -> float:
    """One mixture by the equations as they were written down, with nothing of the code."""
    masses = {name: Component.of(resolve(name)).molar_mass for name in solvents}
    moles = {name: w / masses[name] for name, w in solvents.items()}
    x = {name: n / sum(moles.values()) for name, n in moles.items()}

    def of(name: str, column: str) -> float:
        return float(SOLVENTS[name][column] or 0)

    s = {
        column: float(SALTS[salt][column])
        for column in SALTS[salt]
        if column[0] in "mvlw" and "_so" not in column
    }
    V = {i: masses[i] / (of(i, "density_g_cm3") + of(i, "density_slope_g_cm3_K") * (T - 298.15)) for i in x}
    Vm = sum(x[i] * V[i] for i in x)
    ns = m * sum(x[i] * masses[i] for i in x) / 1000
    c = 1000 * ns / (Vm + ns * s["molar_volume_cm3_mol"])
    cubic_root = sum(
        x[i]
        * V[i]
        / Vm
        * (of(i, "permittivity") * math.exp(of(i, "permittivity_log_slope_1_K") * (T - 298.15))) ** (1 / 3)
        for i in x
    )
    Te = T - 23.9936 * s["v"] * c
    cyclic = sum(x[i] for i in x if i in ("EC", "PC", "FEC", "VC", "GBL", "sulfolane"))
    ln_eta = (
        sum(
            x[i] * (of(i, "viscosity_A") + of(i, "viscosity_B_K") / max(Te - of(i, "viscosity_T0_K"), 15))
            for i in x
        )
        + 0.2732 * cyclic * (1 - cyclic)
        + 0.5863 * s["v"] * c
    )
    ln_K = (
        s["log_k0"]
        + 38.588 * (298.15 / T) / (cubic_root**3 + 4.5759 * c)
        - 4 * math.log(1000 / (10 * Vm))
        - sum(x[i] * of(i, "sigma") for i in x)
    )
    low, high = 0.0, 1.0
    for _ in range(200):  # K a^2 c = 1 - a, by halving
        a = (low + high) / 2
        low, high = (a, high) if math.exp(ln_K) * a * a * c < 1 - a else (low, a)
    return c * low * 0.6819 * s["walden_S_cm2_mPa_s_mol"] * math.exp(ln_eta) ** -0.9182


mixtures = st.dictionaries(st.sampled_from(list(SOLVENTS)), st.floats(0.01, 1), min_size=1, max_size=5)
salts = st.sampled_from(list(SALTS))
molalities = st.floats(0.01, 3)
temperatures = st.floats(233, 345)


def test_the_laws_own_check_value() -> None:
    system = TernarySystem(
        {name: Component.of(resolve(name)) for name in ("PC", "DMC", "EC")},
        "LiPF6",
        Component.of(resolve("LiPF6")),
        0.08,
    )
    batch = system.mixtures(TABLE, numbers(0, 0.7, 0.3)[None], numbers(303.15))

    assert float(LAW.conductivity(batch)[0]) == pytest.approx(13.50, abs=0.01)


def test_worked_numbers() -> None:
    # Computed once by hand from the equations, with molar masses of three decimals.
    equal_moles = {"DME": 90.121, "AN": 41.052}

    assert said(equal_moles, {"LiTFSI": 1.0}, 298.15) == pytest.approx(17.1938, abs=2e-3)


@given(mixtures, salts, molalities, temperatures)
def test_it_is_the_slow_law(w: dict[str, float], salt: str, m: float, T: float) -> None:
    assert said(w, {salt: m}, T) == pytest.approx(slow(w, salt, m, T), rel=1e-9)


@given(mixtures, salts, molalities, temperatures, st.randoms(use_true_random=False))
def test_order_scale_type_and_empty_slots_change_nothing(
    w: dict[str, float], salt: str, m: float, T: float, random: Random
) -> None:
    plain = mixture(w, {salt: m}, T)
    order = random.sample(range(len(w)), len(w))
    other = MixtureBatch(
        torch.cat([plain.solvents[:, order], torch.tensor([[PLACE["LiPF6"]]])], 1),
        torch.cat([0.3 * plain.weights[:, order], torch.zeros(1, 1)], 1),
        torch.cat([torch.tensor([[0]]), plain.salts], 1),
        torch.cat([torch.zeros(1, 1, dtype=torch.float64), plain.molality], 1),
        plain.temperature_K,
    )

    torch.testing.assert_close(LAW.conductivity(other), LAW.conductivity(plain), rtol=1e-12, atol=0)
    inside = plain.to(torch.float32).temperature_K.clamp(233, 345)
    single = MixtureBatch(plain.solvents, plain.weights.float(), plain.salts, plain.molality.float(), inside)
    assert LAW.conductivity(single).dtype == torch.float64
    torch.testing.assert_close(LAW.conductivity(single), LAW.conductivity(plain), rtol=1e-4, atol=0)


def test_rows_of_a_batch_do_not_mix() -> None:
    both = MixtureBatch(
        torch.tensor([[PLACE["EC"], PLACE["DMC"]], [PLACE["AN"], 0]]),
        torch.tensor([[0.3, 0.7], [1.0, 0.0]], dtype=torch.float64),
        torch.tensor([[PLACE["LiPF6"]], [PLACE["LiBOB"]]]),
        numbers(1.0, 0.5)[:, None],
        numbers(298.15, 250),
    )
    alone = [said({"EC": 0.3, "DMC": 0.7}, {"LiPF6": 1.0}, 298.15), said({"AN": 1}, {"LiBOB": 0.5}, 250)]

    assert LAW.conductivity(both).tolist() == pytest.approx(alone, rel=1e-12)


def test_one_salt_in_two_slots_is_one_and_two_salts_lie_between() -> None:
    w = {"EC": 0.3, "DMC": 0.7}
    halves = MixtureBatch(
        torch.tensor([[PLACE["EC"], PLACE["DMC"]]]),
        numbers(0.3, 0.7)[None],
        torch.tensor([[PLACE["LiPF6"], PLACE["LiPF6"]]]),
        numbers(0.4, 0.6)[None],
        numbers(298.15),
    )
    pure = [said(w, {salt: 1.0}, 298.15) for salt in ("LiPF6", "LiBOB")]

    assert float(LAW.conductivity(halves)[0]) == pytest.approx(pure[0], rel=1e-12)
    assert pure[1] < said(w, {"LiPF6": 0.5, "LiBOB": 0.5}, 298.15) < pure[0]


@given(mixtures, st.lists(salts, min_size=1, max_size=2, unique=True), temperatures)
def test_gradients_are_those_of_finite_differences(w: dict[str, float], of: list[str], T: float) -> None:
    batch = mixture(w, dict.fromkeys(of, 0.7), min(max(T, 234), 344))

    def law(weights: Tensor, molality: Tensor, temperature_K: Tensor) -> Tensor:
        return LAW.conductivity(MixtureBatch(batch.solvents, weights, batch.salts, molality, temperature_K))

    inputs = (batch.weights, batch.molality, batch.temperature_K)
    assert torch.autograd.gradcheck(law, [part.clone().requires_grad_() for part in inputs], atol=1e-4)


@pytest.mark.parametrize("of", [["LiPF6"], ["LiPF6", "LiTFSI"]])
def test_without_salt_there_is_no_conductivity_but_a_slope(of: list[str]) -> None:
    batch = mixture({"EC": 0.3, "DMC": 0.7, "PC": 0.0}, dict.fromkeys(of, 0.0), 298.15)
    molality, weights = batch.molality.clone().requires_grad_(), batch.weights.clone().requires_grad_()
    none = LAW.conductivity(MixtureBatch(batch.solvents, weights, batch.salts, molality, batch.temperature_K))
    none.sum().backward()

    assert float(none.detach()) == 0
    assert molality.grad is not None and weights.grad is not None
    assert bool((molality.grad > 0).all()) and bool(weights.grad.isfinite().all())
    if len(of) == 1:
        little = said({"EC": 0.3, "DMC": 0.7}, {"LiPF6": 1e-7}, 298.15) / 1e-7
        assert float(molality.grad) == pytest.approx(little, rel=1e-4)


def test_the_files_hold_27_solvents_and_8_salts_with_sources() -> None:
    assert (len(solvent_constants()), len(salt_constants())) == (27, 8)
    sourced = ("density_source", "viscosity_source", "permittivity_source", "confidence")
    assert all(row[column] for row in SOLVENTS.values() for column in sourced)
    assert all(row["volume_source"] and row["walden_source"] for row in SALTS.values())
    assert [name for name, row in SOLVENTS.items() if row["sigma"] == ""] == ["MP", "EP", "VC"]


@pytest.mark.parametrize(
    ("solvents", "of", "label"),
    [
        ({"EC": 0.3, "DMC": 0.7}, {"LiPF6": 1.0}, ""),
        ({"EC": 0.3, "DMC": 0.7, "AN": 0.0}, {"LiPF6": 1.8}, ""),
        ({"EC": 0.3, "DMC": 0.7}, {"LiPF6": 1.81}, "dubious"),
        ({"EC": 0.3, "DMC": 0.7}, {"LiFSI": 1.0}, "dubious"),
        ({"EC": 0.6, "DMC": 0.4}, {"LiPF6": 1.0}, "dubious"),
        ({"FEC": 0.6, "DMC": 0.4}, {"LiPF6": 1.0}, "dubious"),
        ({"EC": 0.3, "VC": 0.01, "DMC": 0.69}, {"LiPF6": 1.0}, "indicative"),
        ({"EC": 0.6, "AN": 0.4}, {"LiPF6": 1.0}, "indicative"),
        ({"EC": 0.3, "DMC": 0.7}, {"LiPF6": 1.0, "LiBF4": 0.1}, "indicative"),
        ({"EC": 0.3, "DMC": 0.7}, {"LiPF6": 1.0, "LiFSI": 0.0}, ""),
    ],
)
def test_labels(solvents: dict[str, float], of: dict[str, float], label: str) -> None:
    assert LABELS[int(LAW.labels(mixture(solvents, of, 298.15))[0])] == label


@pytest.mark.parametrize(
    ("solvents", "of", "T", "message"),
    [
        (
            {"EC": 0.3, "benzene": 0.7},
            {"LiTDI": 1.0},
            298.15,
            "solvent benzene: the virtual laboratory does not have it; its solvents are EC, PC, FEC, DMC, "
            "EMC, DEC, GBL, DME, DOL, AN, EA, MA, MP, EP, DMSO, sulfolane, THF, 2-MeTHF, diglyme, triglyme, "
            "tetraglyme, DMF, DCM, toluene, TFP, VC, MOEMC. Take one of these.\n"
            "salt LiTDI: the virtual laboratory does not have it; its salts are LiPF6, LiTFSI, LiFSI, LiBF4, "
            "LiClO4, LiAsF6, LiOTf, LiBOB. Take one of these.",
        ),
        (
            {"EC": 1.0, "DMC": -0.5},
            {"LiPF6": float("nan")},
            345.5,
            "mixture 1 of 1: 1, -0.5 came; weight fractions from 0, not all 0, were expected. Correct it, or "
            "leave such mixtures out.\n"
            "mixture 1 of 1: nan came; molalities [mol/kg] from 0 were expected. Correct it, or leave such "
            "mixtures out.\n"
            "mixture 1 of 1: 345.5 came; a temperature from 233 to 345 K, in which the law was calibrated, "
            "was expected. Correct it, or leave such mixtures out.",
        ),
        (
            {"EC": 0.0},
            {"LiPF6": 1.0},
            298.15,
            "mixture 1 of 1: 0 came; weight fractions from 0, not all 0, were expected. Correct it, or leave "
            "such mixtures out.",
        ),
    ],
)
def test_what_the_law_says_nothing_of(
    solvents: dict[str, float], of: dict[str, float], T: float, message: str
) -> None:
    with pytest.raises(InputError) as error:
        said(solvents, of, T)
    assert str(error.value) == message


def test_a_foreign_molecule_that_no_mixture_holds_is_no_problem() -> None:
    with_trace = said({"EC": 0.3, "benzene": 0.0, "DMC": 0.7}, {"LiPF6": 1.0, "LiTDI": 0.0}, 298.15)

    assert with_trace == pytest.approx(said({"EC": 0.3, "DMC": 0.7}, {"LiPF6": 1.0}, 298.15), rel=1e-12)
