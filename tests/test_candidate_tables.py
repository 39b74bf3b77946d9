import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.candidate_tables import (
    candidate_frame,
    combined,
    mixture_keys,
    normals,
    read_candidates,
    uniforms,
)
from surrogates.chemicals import resolve
from surrogates.errors import InputError
from surrogates.mixture_data import tabulate
from surrogates.molecules import Component

SOLVENTS = [Component.of(resolve(name)) for name in ("EC", "DMC", "DEC", "AN")]
SALTS = [Component.of(resolve(name)) for name in ("LiPF6", "LiBOB")]
PEO = "[Cu]CCO[Au]"

Mixture = tuple[dict[Component, float], dict[Component, float], float]
amounts = st.floats(0.01, 1)
mixture = st.tuples(
    st.dictionaries(st.sampled_from(SOLVENTS), amounts, min_size=1),
    st.dictionaries(st.sampled_from(SALTS), amounts),
    st.floats(200, 400),
)


def frame(**columns: object) -> pd.DataFrame:
    plain = {
        "solvent_1": "EC",
        "weight_fraction_1": [0.3, 0.5],
        "solvent_2": "DMC",
        "weight_fraction_2": [0.7, 0.5],
        "salt": "LiPF6",
        "molality_mol_kg": 1.0,
        "temperature_K": 298.15,
    }
    return pd.DataFrame({**plain, **columns})


def keys(candidates: pd.DataFrame) -> list[int]:
    return read_candidates(candidates, []).keys().tolist()


@settings(max_examples=25)
@given(st.lists(mixture, min_size=1, max_size=5))
def test_candidates_survive_the_trip_through_a_table(mixtures: list[Mixture]) -> None:
    shares = [{one: w / sum(ws.values()) for one, w in ws.items()} for ws, _, _ in mixtures]
    table, batch = tabulate(
        [list(ws) for ws in shares],
        [list(ws.values()) for ws in shares],
        [list(salts) for _, salts, _ in mixtures],
        [list(salts.values()) for _, salts, _ in mixtures],
        [T for *_, T in mixtures],
    )
    written = candidate_frame(table, batch)
    if not any(salts for _, salts, _ in mixtures):
        written["salt"] = ""
    back = read_candidates(written, [])

    assert mixture_keys(back.table, back.batch).tolist() == mixture_keys(table, batch).tolist()
    assert torch.equal(back.batch.temperature_K, batch.temperature_K)
    for row, (ws, (_, salts, _)) in enumerate(zip(shares, mixtures, strict=True)):
        found = zip(back.batch.solvents[row].tolist(), back.batch.weights[row].tolist(), strict=True)
        assert {back.table.components[i]: w for i, w in found if w > 0} == pytest.approx(ws, rel=1e-12)
        found = zip(back.batch.salts[row].tolist(), back.batch.molality[row].tolist(), strict=True)
        assert {back.table.components[i]: m for i, m in found if m > 0} == salts


def test_a_polymer_is_written_with_its_molar_mass() -> None:
    chain = Component.of(PEO, 5000.0)
    table, batch = tabulate(
        [[chain], [SOLVENTS[0]]], [[1.0], [1.0]], [[SALTS[0]]] * 2, [[1.0]] * 2, [300, 300]
    )
    written = candidate_frame(table, batch)

    assert written["molar_mass_1"].tolist() == pytest.approx([5000.0, np.nan], nan_ok=True)
    assert read_candidates(written, []).table.components[0] == chain


def test_keys_know_a_mixture_in_any_words() -> None:
    plain = frame(repeat=[0, 4])
    other = pd.DataFrame(
        {
            "solvent_1": [None, "DMC"],
            "weight_fraction_1": [np.nan, 0.5],
            "solvent_2": ["COC(=O)OC", "ethylene carbonate"],
            "weight_fraction_2": [0.70000001, 0.5],
            "solvent_3": ["O=C1OCCO1", "AN"],
            "weight_fraction_3": [0.29999999, 0.0],
            "salt_1": [None, "LiBOB"],
            "molality_mol_kg_1": [None, 0],
            "salt_2": "lipf6",
            "molality_mol_kg_2": np.float32(1.0),
            "temperature_K": ["298.15", "298.1500001"],
            "repeat": ["0", "4"],
            "note": "kept",
        }
    )

    assert keys(other) == keys(plain)
    assert len({*keys(plain), *keys(frame(salt="LiBOB")), *keys(frame(temperature_K=298.2))}) == 6
    assert len({*keys(frame()), *keys(frame(molality_mol_kg=1.001)), *keys(frame(solvent_2="DEC"))}) == 6
    # EC and DMC with their fractions exchanged are another mixture, one half of each the same.
    swapped = keys(frame(solvent_1="DMC", solvent_2="EC"))
    assert (swapped[0] != keys(frame())[0], swapped[1] == keys(frame())[1]) == (True, True)


def test_rows_that_ask_for_one_mixture_again_are_its_repeats() -> None:
    asked = read_candidates(frame(repeat=[2, 0]).iloc[[0, 1, 0, 0, 1]], [])

    assert asked.repeat.tolist() == [2, 0, 3, 4, 1]
    assert len(set(asked.keys().tolist())) == 5


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (frame().iloc[:0], "candidates: there are no rows. Give a row for each experiment."),
        (
            frame(failed=False, conductivity_mS_cm=10),
            'candidates: its column "conductivity_mS_cm" is one that a measurement adds. Rename or '
            "remove it.\n"
            'candidates: its column "failed" is one that a measurement adds. Rename or remove it.',
        ),
        (
            frame(repeat=[-1, "1.5"]),
            'candidates, row 2, column "repeat": "-1" came; a whole number from 0 was expected. Correct the '
            "cell.\n"
            'candidates, row 3, column "repeat": "1.5" came; a whole number from 0 was expected. Correct the '
            "cell.",
        ),
        (
            pd.concat([frame(), frame()[["salt"]]], axis=1),
            'candidates: several columns are named "salt". Rename or remove all but one.',
        ),
        (
            frame(weight_fraction_2=[0.7, 0.6]),
            'candidates, row 3, columns "weight_fraction_1", "weight_fraction_2": 0.5, 0.6 sum to 1.1, '
            "expected 1 within 0.001 among the solvents. Divide them by their sum or correct the row.",
        ),
        (
            frame().drop(columns="salt"),
            'candidates: column "salt" is missing. Add it, or map a header to it in columns.',
        ),
    ],
)
def test_what_cannot_be_read(candidates: pd.DataFrame, message: str) -> None:
    with pytest.raises(InputError) as error:
        read_candidates(candidates, ["conductivity_mS_cm", "failed", "reason"])
    assert str(error.value) == message


def test_random_numbers_are_uniform_normal_and_independent() -> None:
    plain = np.arange(20000, dtype=np.uint64)
    u, z, other = uniforms(plain, 0, 1), normals(plain, 0, 1), normals(plain, 1, 1)

    assert np.abs(np.histogram(u, bins=10, range=(0, 1))[0] / 2000 - 1).max() < 0.1
    assert abs(z.mean()) < 0.03
    assert z.std() == pytest.approx(1, abs=0.02)
    assert np.abs(np.corrcoef([z, other, np.roll(z, 1), plain.astype(float)]) - np.eye(4)).max() < 0.03


def test_random_numbers_stay_what_they_are() -> None:
    # A campaign is repeated by its seed: another release of the hash would be a change that users notice.
    assert uniforms(np.zeros(1, dtype=np.uint64), 0, 0).tolist() == pytest.approx(
        [0.4827460870943591], abs=1e-12
    )
    assert keys(frame())[0] == 17942366594786389842
    assert (
        combined(np.array([1, 2], dtype=np.uint64)).tolist()
        != combined(np.array([2, 1], dtype=np.uint64)).tolist()
    )
