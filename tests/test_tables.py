"""A user's file of mixtures, read and refused."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogates.chemicals import name_of, resolve
from surrogates.errors import InputError
from surrogates.mixture_data import MixtureData
from surrogates.molecules import molar_mass
from surrogates.tables import candidate_mixtures, read_mixtures
from surrogates.text_tables import read_text, read_usable
from tests.mixture_files import TARGET, mixture_file, refusal

HEADER = "solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,molality_mol_kg,temperature_K"


def _contents(data: MixtureData, row: int) -> dict[str, float]:
    parts = zip(data.batch.solvents[row].tolist(), data.batch.weights[row].tolist(), strict=True)
    return {name_of(data.table.components[i].smiles): weight for i, weight in parts if weight > 0}


def test_names_and_smiles_mean_the_same_and_rows_are_kept(tmp_path: Path) -> None:
    path = mixture_file(
        tmp_path,
        f"{HEADER},{TARGET},note",
        "EC,0.5,dmc,0.5,LiPF6,1,298.15,-2,a",
        "DMC,0.5,C1COC(=O)O1,0.5,lithium hexafluorophosphate,1.0,298.15,-2.1,b",
        ",,,,,,,,",
        "PC,1,,,LiTFSI,0.5,313.15,-1.9,c",
        "PC,1,EC,0,LiTFSI,0.5,323.15,-1.8,d",
    )
    data = read_mixtures(path, TARGET)
    assert [_contents(data, row) for row in range(4)] == [
        {"EC": 0.5, "DMC": 0.5},
        {"DMC": 0.5, "EC": 0.5},
        {"PC": 1.0},
        {"PC": 1.0},
    ]
    salts = [data.table.components[i].smiles for i in data.batch.salts[:, 0].tolist()]
    assert salts == [resolve(name) for name in ("LiPF6", "LiPF6", "LiTFSI", "LiTFSI")]
    assert data.batch.temperature_K.tolist() == [298.15, 298.15, 313.15, 323.15]
    assert data.target.tolist() == [-2, -2.1, -1.9, -1.8]
    assert data.rows.to_dict("list") == {
        "row": [2, 3, 5, 6],
        "mixture": [0, 0, 1, 1],
        "repeat": [False, True, False, False],
        "poor_fit": [False] * 4,
    }
    assert data.report == (
        "4 rows read, none dropped; 1 empty rows passed over",
        "chemicals read: EC as O=C1OCCO1, DMC as COC(=O)OC, PC as CC1COC(=O)O1, dmc as COC(=O)OC, "
        "C1COC(=O)O1 as O=C1OCCO1, LiPF6 as F[P-](F)(F)(F)(F)F.[Li+], lithium hexafluorophosphate as "
        "F[P-](F)(F)(F)(F)F.[Li+], LiTFSI as O=S(=O)([N-]S(=O)(=O)C(F)(F)F)C(F)(F)F.[Li+]",
        "columns passed over: note",
        "1 rows: mixture and temperature of an earlier row, flagged repeat",
    )


def test_headers_units_and_target_convert_and_the_report_says_so(tmp_path: Path) -> None:
    path = mixture_file(
        tmp_path,
        "solvent_1,mole_fraction_1,solvent_2,mole_fraction_2,salt,m,kappa",
        "EC,50,DMC,50.01,LiPF6,1000,1",
    )
    data = read_mixtures(
        path,
        TARGET,
        columns={"molality_mol_kg": "m", "conductivity_mS_cm": "kappa"},
        units={
            "mole_fraction_1": "percent",
            "mole_fraction_2": "percent",
            "molality_mol_kg": "mmol/kg",
            "conductivity_mS_cm": "S/m",
        },
    )
    assert data.target.tolist() == pytest.approx([-2])
    assert data.batch.molality[:, 0].tolist() == pytest.approx([1])
    assert data.batch.temperature_K.tolist() == [298.15]
    assert data.report == (
        "1 rows read, none dropped; 0 empty rows passed over",
        "chemicals read: EC as O=C1OCCO1, DMC as COC(=O)OC, LiPF6 as F[P-](F)(F)(F)(F)F.[Li+]",
        "1 rows: mole_fraction_1 converted from percent",
        "1 rows: mole_fraction_2 converted from percent",
        "1 rows: molality_mol_kg converted from mmol/kg",
        "1 rows: conductivity_mS_cm converted from S/m",
        "1 rows: weight fractions computed from mole fractions and molar masses",
        "1 rows: fractions divided by their sum, which differs from 1 by at most 0.001",
        "1 rows: no column temperature_K, 298.15 K taken",
        "1 rows: log10_conductivity_S_cm computed from conductivity_mS_cm",
        "0 rows: mixture and temperature of an earlier row, flagged repeat",
    )


@given(x=st.floats(0.01, 0.99))
def test_mole_fractions_become_weight_fractions(x: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    header = "solvent_1,mole_fraction_1,solvent_2,mole_fraction_2,salt,molality_mol_kg,y"
    path = mixture_file(tmp_path_factory.mktemp("x"), header, f"EC,{x!r},DMC,{1 - x!r},LiPF6,1,0")
    weights = _contents(read_mixtures(path, "y"), 0)
    moles = {name: weight / molar_mass(resolve(name)) for name, weight in weights.items()}
    assert math.isclose(sum(weights.values()), 1)
    assert math.isclose(moles["EC"] / sum(moles.values()), x, rel_tol=1e-9)


def test_a_polymer_is_read_with_its_molar_mass(tmp_path: Path) -> None:
    header = "solvent_1,molar_mass_1,weight_fraction_1,salt,molality_mol_kg,temperature_K,y"
    data = read_mixtures(mixture_file(tmp_path, header, "[Cu]OCC[Au],5000,1,LiTFSI,1,298.15,0"), "y")
    assert data.table.components[0].molar_mass == 5000


def test_parquet_reads_as_csv_does(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "solvent_1": ["EC", "PC"],
            "weight_fraction_1": [0.3, 1.0],
            "solvent_2": ["DMC", None],
            "weight_fraction_2": [0.7, None],
            "salt": "LiPF6",
            "molality_mol_kg": [1, 2],
            "y": [0.25, 0.5],
        }
    )
    frame.to_parquet(tmp_path / "mine.parquet")
    frame.to_csv(tmp_path / "mine.csv", index=False)
    one, other = (read_mixtures(tmp_path / f"mine.{suffix}", "y") for suffix in ("parquet", "csv"))
    assert one.batch.to_rows().equal(other.batch.to_rows())
    assert one.target.equal(other.target)
    assert one.report == other.report


def test_every_bad_cell_is_reported_at_once(tmp_path: Path) -> None:
    path = mixture_file(
        tmp_path,
        "solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,molar_mass_2,"
        "salt,molality_mol_kg,temperature_K,conductivity_mS_cm",
        "EC,0.7,DMC,0.4,,LiPF6,1,298,10.5",
        'ECC,0.5,DMC,0.5,,LiPF7,-1,25,"1,5"',
        "EC,0.5,,0.5,,EC,nan,inf,0",
        ",,,,,[Li+].[Li+].F[P-](F)(F)(F)(F)F.[Cl-],1,298,x",
        "EC,0.5,C1COC(=O)O1,0.5,,[Li+],1,298,-2",
        "EC,0.5,[Cu]OCC[Au],0.5,,,1,298,1",
        "EC,50,[Xq],50,-3,LiBF4,1,298,1",
        "[Na+],1,,,,LiBF4,1,298,1",
    )
    unknown = "is neither a known name nor a SMILES that RDKit can read"
    decimal = "Write a plain number with a decimal point."
    percent = "Correct the cell, or name its unit if the column holds percent."
    assert refusal(path) == [
        'mine.csv, row 2, columns "weight_fraction_1", "weight_fraction_2": 0.7, 0.4 sum to 1.1, expected 1 '
        "within 0.001 among the solvents. Divide them by their sum or correct the row.",
        f'mine.csv, row 3, column "solvent_1": "ECC" {unknown}. '
        "Did you mean EC or FEC or EMC? Otherwise give its SMILES.",
        f'mine.csv, row 3, column "salt": "LiPF7" {unknown}. '
        "Did you mean LiPF6 or LiBETI or LiOTf? Otherwise give its SMILES.",
        'mine.csv, row 3, column "molality_mol_kg": "-1" is not a molality between 0 and 1000 mol/kg. '
        "Correct the cell.",
        'mine.csv, row 3, column "temperature_K": "25" is not a temperature between 100 and 1000 K. '
        "Correct the cell, or name its unit if the column holds degC.",
        'mine.csv, row 3, column "conductivity_mS_cm": "1,5" is not a finite number; '
        f"expected a conductivity above 0. {decimal}",
        'mine.csv, row 4, column "weight_fraction_2": "0.5" stands here, but the row has no solvent_2. '
        "Name the solvent or clear the fraction.",
        'mine.csv, row 4, column "salt": "EC" is not made of ions. '
        "Give the ions with their charges, as [Li+].[Cl-].",
        'mine.csv, row 4, column "molality_mol_kg": "nan" is not a finite number; '
        f"expected a molality between 0 and 1000 mol/kg. {decimal}",
        'mine.csv, row 4, column "temperature_K": "inf" is not a finite number; '
        f"expected a temperature between 100 and 1000 K. {decimal}",
        'mine.csv, row 4, column "conductivity_mS_cm": "0" is not a conductivity above 0. Correct the cell.',
        'mine.csv, row 5, columns "solvent_1", "solvent_2": no solvent has a fraction above 0. '
        "Complete the row.",
        'mine.csv, row 5, column "salt": "[Li+].[Li+].F[P-](F)(F)(F)(F)F.[Cl-]" is more than one salt. '
        "Give each its own columns, as salt_1 and molality_mol_kg_1.",
        'mine.csv, row 5, column "conductivity_mS_cm": "x" is not a finite number; '
        f"expected a conductivity above 0. {decimal}",
        'mine.csv, row 6, columns "solvent_1", "solvent_2": one solvent stands here twice. '
        "Add up its fractions.",
        'mine.csv, row 6, column "salt": "[Li+]" has a charge of +1. '
        "Give all its ions, so that it is neutral.",
        'mine.csv, row 6, column "conductivity_mS_cm": "-2" is not a conductivity above 0. Correct the cell.',
        'mine.csv, row 7, column "solvent_2": "[Cu]OCC[Au]" is a polymer, and molar_mass_2 does not give its '
        "molar mass. Give the chain's molar mass [g/mol] in molar_mass_2.",
        'mine.csv, row 7, column "molality_mol_kg": "1" stands here, but the row has no salt. '
        "Name the salt or clear the cell.",
        f'mine.csv, row 8, column "weight_fraction_1": "50" is not a fraction between 0 and 1. {percent}',
        f'mine.csv, row 8, column "solvent_2": "[Xq]" {unknown}. '
        "Give its SMILES; the known names stand in surrogates/chemicals.csv.",
        'mine.csv, row 8, column "molar_mass_2": "-3" is not a molar mass above 0 g/mol. Correct the cell.',
        f'mine.csv, row 8, column "weight_fraction_2": "50" is not a fraction between 0 and 1. {percent}',
        'mine.csv, row 9, column "solvent_1": "[Na+]" has a charge of +1. '
        "Give all its ions, so that it is neutral.",
    ]


def test_an_element_without_facts_is_refused(tmp_path: Path) -> None:
    message = refusal(mixture_file(tmp_path, f"{HEADER},{TARGET}", "[He],1,,,LiPF6,1,298,-2"))
    assert message == [
        'mine.csv, row 2, column "solvent_1": "[He]" cannot be used: \'[He]\' holds He, an element without '
        "electronegativity or radius here. Remove the row; nothing can be predicted for it."
    ]


def test_missing_and_misspelt_columns_are_named_with_the_nearest(tmp_path: Path) -> None:
    path = mixture_file(tmp_path, "solvent_1,wt_fraction_1,Salt,solvent_3,temperature_C", "EC,1,LiPF6,PC,25")
    add = "Add it, or map a header to it in columns."
    assert refusal(path) == [
        f'mine.csv: column "weight_fraction_1" is missing. Did you mean "wt_fraction_1"? {add}',
        f'mine.csv: column "solvent_2" is missing. {add}',
        f'mine.csv: column "weight_fraction_2" is missing. Did you mean "wt_fraction_1"? {add}',
        f'mine.csv: column "weight_fraction_3" is missing. Did you mean "wt_fraction_1"? {add}',
        f'mine.csv: column "salt" is missing. Did you mean "Salt"? {add}',
        f'mine.csv: column "molality_mol_kg" is missing. {add}',
        'mine.csv: column "log10_conductivity_S_cm" is missing. Add it or one that converts to it '
        "(conductivity_S_cm, conductivity_mS_cm, log10_conductivity_mS_cm), or map a header to one of them "
        "in columns.",
        'mine.csv: column "temperature_C" may hold the temperature, but is not called temperature_K. '
        "Map temperature_K to it in columns, or rename or remove it.",
    ]


def test_fractions_given_both_ways_are_refused(tmp_path: Path) -> None:
    header = "solvent_1,weight_fraction_1,mole_fraction_1,salt,molality_mol_kg,y"
    assert refusal(mixture_file(tmp_path, header, "EC,1,1,LiPF6,1,0"), "y") == [
        "mine.csv: fractions are given by weight and by mole. Remove the columns of one kind."
    ]


def test_a_target_that_two_columns_could_give_is_refused(tmp_path: Path) -> None:
    path = mixture_file(tmp_path, f"{HEADER},conductivity_mS_cm,conductivity_S_cm", "EC,1,,,LiPF6,1,298,1,1")
    assert refusal(path)[0] == (
        'mine.csv: the target "log10_conductivity_S_cm" could be taken from conductivity_S_cm or '
        "conductivity_mS_cm. Remove all but one of them."
    )


def test_messages_name_the_files_own_headers_and_units(tmp_path: Path) -> None:
    path = mixture_file(tmp_path, f"{HEADER},T_y".replace("temperature_K", "T"), "EC,1,,,LiPF6,1,-200,0")
    assert refusal(path, "y", {"temperature_K": "T", "y": "T_y"}, {"temperature_K": "degC"}) == [
        'mine.csv, row 2, column "T": "-200" degC is not a temperature between 100 and 1000 K. '
        "Correct the cell, or name its unit if the column holds degC."
    ]


nasty = st.sampled_from(
    [
        "",
        "EC",
        "DMC",
        "LiPF6",
        "0.5",
        "1",
        "0",
        "-1",
        "1e999",
        "nan",
        "x",
        "1,5",
        '"',
        "[Cu]OCC[Au]",
        "[",
        "é",
    ]
)


@given(
    cells=st.lists(st.lists(nasty, min_size=7, max_size=8), min_size=0, max_size=4), by_molality=st.booleans()
)
def test_whatever_stands_in_the_cells_it_is_read_or_refused(
    cells: list[list[str]], by_molality: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    amount = "molality_mol_kg" if by_molality else "salt_mole_fraction"
    header = f"solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,{amount},y"
    path = mixture_file(tmp_path_factory.mktemp("x"), header, *(",".join(row) for row in cells))
    try:
        data = read_mixtures(path, "y")
    except InputError as error:
        assert all(problem.where.startswith("mine.csv") for problem in error.problems)
    else:
        assert bool(data.target.isfinite().all())
        assert bool((data.batch.molality.isfinite() & (data.batch.molality >= 0)).all())
        assert bool((data.batch.weights.sum(-1) - 1).abs().lt(1e-9).all())


@pytest.mark.parametrize(
    "target",
    [
        "salt",
        "molality_mol_kg",
        "temperature_K",
        "solvent_1",
        "mole_fraction_2",
        "salt_2",
        "molality_mol_kg_1",
    ],
)
def test_a_target_that_is_an_input_is_refused(tmp_path: Path, target: str) -> None:
    path = mixture_file(tmp_path, "solvent_1,salt,molality_mol_kg,weight_fraction_1", "EC,LiPF6,1,1")
    with pytest.raises(InputError) as caught:
        read_mixtures(path, target)
    assert str(caught.value) == (
        f'mine.csv: the target "{target}" is part of what the mixture is, nothing to learn. '
        "Name the column of a measured property."
    )


def test_candidates_need_no_target_and_are_the_mixtures_of_the_measured_rows(tmp_path: Path) -> None:
    path = mixture_file(
        tmp_path, f"{HEADER},{TARGET}", "EC,0.5,dmc,0.5,LiPF6,1,298.15,-2", "PC,1,,,LiBF4,2,313,"
    )
    candidates = candidate_mixtures(read_text(path))
    data = read_mixtures(mixture_file(tmp_path, *path.read_text().replace("313,", "313,-1").split()), TARGET)
    assert candidates.table.components == data.table.components
    assert candidates.batch.to_rows().equal(data.batch.to_rows())
    pd.testing.assert_frame_equal(candidates.rows, data.rows)
    assert candidates.report == (*data.report[:2], f"columns passed over: {TARGET}")


def test_the_unit_of_a_column_that_is_passed_over_is_not_told_as_converted(tmp_path: Path) -> None:
    path = mixture_file(tmp_path, f"{HEADER},conductivity_mS_cm", "EC,1,,,LiPF6,1000,298,1")
    units = {"molality_mol_kg": "mmol/kg", "conductivity_mS_cm": "S/m"}
    assert candidate_mixtures(read_text(path), units=units).report[2:] == (
        "1 rows: molality_mol_kg converted from mmol/kg",
        "columns passed over: conductivity_mS_cm",
    )


def test_a_solvent_of_which_there_is_nothing_may_stand_twice(tmp_path: Path) -> None:
    path = mixture_file(tmp_path, f"{HEADER},{TARGET}", "EC,1,EC,0,LiPF6,1,298,-2")
    assert _contents(read_mixtures(path, TARGET), 0) == {"EC": 1}
    path = mixture_file(tmp_path, f"{HEADER},{TARGET}", "EC,1,EC,x,LiPF6,1,298,-2")
    assert len(refusal(path)) == 2  # the bad cell, and that it stands twice


def test_a_candidate_is_refused_in_the_words_for_a_measured_row(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        candidate_mixtures(read_text(mixture_file(tmp_path, HEADER.replace("salt,", ""), "EC,1,,,1,298")))
    assert str(caught.value) == (
        'mine.csv: column "salt" is missing. Add it, or map a header to it in columns.'
    )


@settings(max_examples=20)  # each row is read alone too
@given(cells=st.lists(st.lists(nasty, min_size=5, max_size=7), min_size=1, max_size=5))
def test_every_row_is_either_read_or_left_out_with_a_reason(
    cells: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    header = "solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,molality_mol_kg"
    good = "PC,1,,,LiBF4,2"
    lines = [",".join(row).replace('"', "") for row in cells]
    path = mixture_file(tmp_path_factory.mktemp("x"), header, *lines, good)
    found, left = read_usable(read_text(path, skip_bad=True), candidate_mixtures, skip_bad=True)
    bad = {row.row: row.problems for row in left.bad_rows}
    filled = {row for row, line in enumerate([*lines, good], 2) if line.strip(",")}
    assert {*found.rows["row"], *bad} == filled
    assert len(found.batch) + len(bad) == len(filled)
    for row, problems in bad.items():
        assert {problem.row for problem in problems} == {row}
    for row, line in enumerate(lines, 2):
        alone = mixture_file(tmp_path_factory.mktemp("y"), header, line, good)
        if row in filled:
            if row in bad:
                with pytest.raises(InputError):
                    candidate_mixtures(read_text(alone))
            else:
                assert len(candidate_mixtures(read_text(alone)).batch) == 2
