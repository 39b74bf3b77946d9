"""`activelearn predict`: a file in, the same file with predictions out, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from campaigns import cli, predict
from campaigns.predict import pairs
from surrogates.errors import InputError
from tests.saved_models import saved_law_model

HEADER = "id,solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,molality_mol_kg,temperature_K"
GOOD = ("007,EC,0.50,dmc,0.5,LiPF6,1,298.15", '8,"DMC", 1.0,,,LiPF6,1e0,280', "9,PC,1,,,LiClO4,1,298.15")
Y = "log10_conductivity_S_cm"
OURS = [f"{Y}_{part}" for part in ("mean", "std", "std_epistemic", "std_aleatoric", "lower_90", "upper_90")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved_law_model(tmp_path_factory.mktemp("models") / "law")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def activelearn(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["activelearn", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def _file(*lines: str, name: str = "c.csv") -> str:
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return name


def test_the_files_own_columns_come_first_as_they_stand(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(HEADER, *GOOD[:2], "", GOOD[2])
    assert activelearn(monkeypatch, "predict", model, file, "-o", "new/out.csv") == 0
    out = pd.read_csv("new/out.csv", dtype=str)
    assert list(out) == [*HEADER.split(","), *OURS, "in_domain"]
    own = out[HEADER.split(",")].fillna("")
    assert own.to_numpy().tolist() == [
        ["007", "EC", "0.50", "dmc", "0.5", "LiPF6", "1", "298.15"],
        ["8", "DMC", "1.0", "", "", "LiPF6", "1e0", "280"],
        ["9", "PC", "1", "", "", "LiClO4", "1", "298.15"],
    ]
    mean, std, epistemic, aleatoric, low, high = (out[name].astype(float) for name in OURS)
    assert std.to_numpy() == pytest.approx((epistemic**2 + aleatoric**2) ** 0.5, rel=1e-4)
    assert (high + low).to_numpy() == pytest.approx(2 * mean, rel=1e-4)
    assert out["in_domain"].tolist()[-1] == "False"
    said = capsys.readouterr()
    known = (out["in_domain"] == "True").sum()
    assert said.out == (
        f"3 rows predicted, {known} of them in the model's domain: {Y}\n"
        "Not in domain: far from what the model was trained on; its numbers are a guess there.\n"
        "The predictions: new/out.csv\n"
    )
    assert said.err.splitlines()[0] == "3 rows read, none dropped; 1 empty rows passed over"
    assert sorted(path.name for path in Path("new").iterdir()) == ["out.csv"]


def test_headers_and_units_are_told(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _file(HEADER.replace("temperature_K", "T"), "1,EC,1,,,LiPF6,1,25", "2,EC,1,,,LiPF6,1,")
    told = ("--column", "temperature_K=T", "--unit", "temperature_K=degC", "--skip-bad")
    assert activelearn(monkeypatch, "predict", model, file, "-o", "a.csv", *told) == 0
    assert activelearn(monkeypatch, "predict", model, _file(HEADER, "1,EC,1,,,LiPF6,1,298.15")) == 0
    one, other = pd.read_csv("a.csv"), pd.read_csv("results/c-predicted.csv")
    pd.testing.assert_frame_equal(one[OURS], other[OURS])
    assert Path("a.bad.csv").read_text() == (
        "row,id,solvent_1,weight_fraction_1,solvent_2,weight_fraction_2,salt,molality_mol_kg,T,problem\n"
        '3,2,EC,1,,,LiPF6,1,,"c.csv, row 3, column ""T"": the cell is empty; expected a temperature between '
        '100 and 1000 K. Fill it in."\n'
    )


def test_parquet_keeps_types_and_rows(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame(
        {
            "note": [1.5, None, 3.5],
            "solvent_1": ["EC", "nonsense", "DMC"],
            "weight_fraction_1": [1, 1, 1],
            "salt": "LiPF6",
            "molality_mol_kg": [0.5, 1.0, 1.5],
        },
        index=pd.Index([10, 20, 30], name="key"),
    )
    table.to_parquet("c.parquet")
    assert activelearn(monkeypatch, "predict", model, "c.parquet", "-o", "out.parquet", "--skip-bad") == 0
    out = pq.read_table("out.parquet")
    assert out.column_names == [*table, "key", *OURS, "in_domain"]
    assert out["note"].to_pylist() == [1.5, 3.5]
    assert out["key"].to_pylist() == [10, 30]
    assert out.schema.field("weight_fraction_1").type == pa.int64()
    assert out.schema.field("in_domain").type == pa.bool_()
    assert pd.read_csv("out.bad.csv")[["row", "solvent_1", "key"]].values.tolist() == [[3, "nonsense", 20]]

    assert activelearn(monkeypatch, "predict", model, "c.parquet", "-o", "b.csv", "--skip-bad") == 0
    assert pd.read_csv("b.csv")["key"].tolist() == [10, 30]
    assert pd.read_csv("b.csv")[OURS[0]].to_numpy() == pytest.approx(out[OURS[0]].to_pylist(), rel=1e-5)
    assert activelearn(monkeypatch, "predict", model, _file(HEADER, *GOOD), "-o", "text.parquet") == 0
    assert pq.read_table("text.parquet")["id"].to_pylist() == ["007", "8", "9"]


def test_parquet_lists_are_kept_where_nobody_reads_them_and_refused_where_they_are_read(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame({"solvent_1": ["EC"], "weight_fraction_1": [1], "salt": "LiPF6"})
    table.assign(molality_mol_kg=1.0, peaks=[[1.5, 2.5]]).to_parquet("c.parquet")
    for out in ("out.parquet", "out.csv"):
        assert activelearn(monkeypatch, "predict", model, "c.parquet", "-o", out) == 0
    assert pq.read_table("out.parquet")["peaks"].to_pylist() == [[1.5, 2.5]]
    assert pd.read_csv("out.csv")["peaks"].tolist() == ["[1.5, 2.5]"]
    capsys.readouterr()
    table.assign(solvent_1=[["EC"]], molality_mol_kg=[[1.0]]).to_parquet("d.parquet")
    assert activelearn(monkeypatch, "predict", model, "d.parquet") == 2
    assert capsys.readouterr().err == (
        f'error: d.parquet, row 2, column "solvent_1": "[\'EC\']" {UNKNOWN}. '
        "Give its SMILES; the known names stand in surrogates/chemicals.csv.\n"
        'd.parquet, row 2, column "molality_mol_kg": "[1.0]" is not a finite number; expected a molality '
        "between 0 and 1000 mol/kg. Write a plain number with a decimal point.\n"
    )


BAD = (
    "1,ECC,1,,,LiPF6,1,298.15",  # row 2
    GOOD[0],
    "2,EC,0.5,,,LiPF7,-1,298.15",
    "3,EC,1,,,LiPF6,1",
    GOOD[1],
    "4,EC,1,,,LiPF6,1,298.15,surplus",
)
LONG = f"{'x' * 300}.csv"
UNKNOWN = "is neither a known name nor a SMILES that RDKit can read"
PROBLEMS = {
    2: (
        f'c.csv, row 2, column "solvent_1": "ECC" {UNKNOWN}. Did you mean EC or FEC or EMC? '
        "Otherwise give its SMILES.",
    ),
    4: (
        'c.csv, row 4, column "weight_fraction_1": 0.5 sum to 0.5, expected 1 within 0.001 among the '
        "solvents. Divide them by their sum or correct the row.",
        f'c.csv, row 4, column "salt": "LiPF7" {UNKNOWN}. Did you mean LiPF6 or LiBETI or LiOTf? '
        "Otherwise give its SMILES.",
        'c.csv, row 4, column "molality_mol_kg": "-1" is not a molality between 0 and 1000 mol/kg. '
        "Correct the cell.",
    ),
    5: (
        "c.csv, row 5: 7 cells stand here, the header has 8. "
        "Quote cells that hold a comma, or complete the row.",
    ),
    7: (
        "c.csv, row 7: 9 cells stand here, the header has 8. "
        "Quote cells that hold a comma, or complete the row.",
    ),
}


def test_bad_rows_go_to_a_file_of_their_own_and_the_rest_is_predicted(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(HEADER, *BAD)
    assert activelearn(monkeypatch, "predict", model, file, "-o", "out.csv", "--skip-bad") == 0
    assert pd.read_csv("out.csv", dtype=str)["id"].tolist() == ["007", "8"]
    bad = pd.read_csv("out.bad.csv", dtype=str).fillna("")
    assert list(bad) == ["row", *HEADER.split(","), "surplus_1", "problem"]
    assert bad["row"].tolist() == ["2", "4", "5", "7"]
    assert bad["id"].tolist() == ["1", "2", "3", "4"]
    assert bad["surplus_1"].tolist() == ["", "", "", "surplus"]
    assert bad["problem"].tolist() == [" ".join(problems) for problems in PROBLEMS.values()]
    said = capsys.readouterr()
    assert said.out.endswith("The predictions: out.csv\nBad rows, 4 left out: out.bad.csv\n")
    assert said.err.startswith("2 rows read, 4 dropped; 0 empty rows passed over\n")


def test_without_it_all_bad_cells_are_named_and_nothing_is_written(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(HEADER, *BAD[:3])
    assert activelearn(monkeypatch, "predict", model, file, "-o", "new/out.csv") == 2
    assert capsys.readouterr().err == "error: " + "\n".join([*PROBLEMS[2], *PROBLEMS[4]]) + "\n"
    assert [path.name for path in Path().iterdir()] == ["c.csv"]


@pytest.mark.parametrize(
    ("lines", "words", "message"),
    [
        (
            (HEADER.replace("salt", "Salt"), GOOD[0]),
            ("--skip-bad",),
            'c.csv: column "salt" is missing. Did you mean "Salt"? Add it, or map a header to it in columns.',
        ),
        (
            (HEADER, BAD[0]),
            ("--skip-bad",),
            PROBLEMS[2][0],
        ),
        (
            (f"{HEADER},in_domain,{Y}_mean", f"{GOOD[0]},1,1"),
            (),
            'c.csv: its column "in_domain" is one that is written here. Rename or remove it.\n'
            f'c.csv: its column "{Y}_mean" is one that is written here. Rename or remove it.',
        ),
        (
            (HEADER, GOOD[0]),
            ("--column", "T", "--column", "salt=a", "--column", "salt=b", "--column", "=x"),
            '--column: "T" came; a name of ours, an equals sign and the file\'s were expected. '
            "Write it as --column temperature_K=T.\n"
            '--column: "salt" is given twice, as "a" and as "b". Keep one of them.\n'
            '--column: "=x" came; a name of ours, an equals sign and the file\'s were expected. '
            "Write it as --column temperature_K=T.",
        ),
        (
            (HEADER, GOOD[0]),
            ("--unit", "temperature_K=furlong"),
            'c.csv: units gives "furlong" for "temperature_K", which is no unit that converts to K. '
            "Write a unit such as S/m, mS/cm, degC, mol/kg or percent.",
        ),
        (
            (HEADER, GOOD[0]),
            ("-o", "c.csv"),
            "c.csv: something stands here already. Give another --out, or move it away.",
        ),
        (
            (HEADER, GOOD[0]),
            ("-o", "out.xlsx"),
            'out.xlsx: the suffix ".xlsx" came; .csv or .parquet was expected. Write it as out.csv.',
        ),
        (
            (HEADER, GOOD[0]),
            ("-o", "c.csv/out.csv"),
            "c.csv/out.csv: {here}/c.csv is a file, not a directory. Give another --out.",
        ),
        (
            (HEADER, BAD[0]),  # the place is looked at before the rows
            ("-o", "."),
            '.: the suffix "" came; .csv or .parquet was expected. Write it as predicted.csv.',
        ),
        (
            (HEADER, GOOD[0]),
            ("-o", ""),
            '.: the suffix "" came; .csv or .parquet was expected. Write it as predicted.csv.',
        ),
        (
            (HEADER, GOOD[0]),
            ("-o", "/"),
            '/: the suffix "" came; .csv or .parquet was expected. Write it as predicted.csv.',
        ),
        (
            (HEADER, BAD[0]),
            ("-o", LONG),
            f"{LONG}: nothing can be written here: File name too long. Give another --out.",
        ),
        (
            (HEADER, BAD[0]),  # long enough for that of bad rows only
            ("-o", f"{'x' * 250}.csv", "--skip-bad"),
            f"{'x' * 250}.bad.csv: nothing can be written here: File name too long. Give another --out.",
        ),
    ],
)
def test_what_cannot_be_done_exits_with_2(
    lines: tuple[str, ...],
    words: tuple[str, ...],
    message: str,
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert activelearn(monkeypatch, "predict", model, _file(*lines), *words) == 2
    said = capsys.readouterr()
    assert said.err.endswith(f"error: {message.replace('{here}', str(tmp_path))}\n")
    assert said.out == ""
    assert [path.name for path in Path().iterdir()] == ["c.csv"]


def test_an_earlier_file_of_bad_rows_is_not_replaced(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(HEADER, *BAD)
    _file("mine", name="out.bad.csv")
    assert activelearn(monkeypatch, "predict", model, file, "-o", "out.csv", "--skip-bad") == 2
    assert capsys.readouterr().err == (
        "error: out.bad.csv: something stands here already. Give another --out, or move it away.\n"
    )
    assert Path("out.bad.csv").read_text() == "mine\n"


def test_if_the_predictions_cannot_be_written_neither_are_the_bad_rows(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(predict, "write_csv", full)
    file = _file(HEADER, *BAD)
    assert activelearn(monkeypatch, "predict", model, file, "-o", "out.csv", "--skip-bad") == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: out.csv: the predictions cannot be written here: No space left on device. Give another --out."
    )
    assert [path.name for path in Path().iterdir()] == ["c.csv"]


def test_a_file_of_bad_rows_can_be_read_again(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for file, out in ((_file(HEADER, *BAD[:2]), "a.csv"), ("again.csv", "b.csv")):
        assert activelearn(monkeypatch, "predict", model, file, "-o", out, "--skip-bad") == 0
        _file(Path("a.bad.csv").read_text().strip(), "9,1,EC,1,,,LiPF6,1,298.15,", name="again.csv")
    assert pd.read_csv("b.csv")["row"].tolist() == [9]
    bad = pd.read_csv("b.bad.csv")
    assert [*bad][:2] + [*bad][-2:] == ["row", "row (file)", "problem (file)", "problem"]


def test_cathodes_are_predicted_with_what_a_test_would_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file("formula,rate_mA_g,V_low,V_high,cycle", "Li1.2Mn0.4Ti0.4O2,20,1.5,4.8,1", "LiX2,1,1,2,1")
    assert activelearn(monkeypatch, "predict", "drxnet-distilled", file, "-o", "out.csv", "--skip-bad") == 0
    (row,) = pd.read_csv("out.csv", keep_default_na=False).to_dict("records")
    assert row["warning"] == ""
    ratio = row["energy_Wh_kg_mean"] / row["capacity_mAh_g_mean"]
    assert ratio == pytest.approx(row["average_voltage_V_mean"], rel=1e-4)
    assert "capacity_mAh_g, average_voltage_V, energy_Wh_kg" in capsys.readouterr().out


def test_pairs_may_hold_equals_signs_and_blanks() -> None:
    assert pairs("--column", ["a = b=c ", "d=e"], "x=y") == {"a": "b=c", "d": "e"}
    with pytest.raises(InputError):
        pairs("--column", ["a="], "x=y")
