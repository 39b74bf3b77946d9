"""From a YAML file and a model to a ranked list, in this process; and what a directory refuses."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from activelearn.screening import Engine, ScoredChunk, Screen, in_process
from campaigns.screen import (
    ChosenModel,
    choose_engine,
    choose_model,
    choose_screen,
    print_summary,
    screen_to_files,
)
from campaigns.screen_record import ScreenRecord
from surrogates.checkpoints import SHIPPED, card_of, save_model
from surrogates.errors import InputError
from surrogates.model_directories import model_hash
from tests.fake_model import FakeModel
from tests.synthetic_laws import SETTINGS, small_law_ensemble

JOB = """
top_k: 100
space:
  solvents: [CO, CCO, CCCO, CCCCO, CCCCCO, CCCCCCO, CCCCCCCO, CCCCCCCCO, CCCCCCCCCO, COC, COCC, EC]
  salts: ["[Li+].[F-]", "[Li+].[Cl-]", LiBr]
  fraction_step: 0.1
  molality_mol_kg: [0.5, 1.0, 1.5]
"""
"""5,346 candidates, six chunks."""
QUIET = Console(quiet=True)


def screened(
    out: Path,
    job: str = JOB,
    model: str = "a",
    target: str | None = None,
    resume: bool = False,
    keep_shards: bool = True,
    scorer: Engine = in_process,
    console: Console = QUIET,
) -> ScreenRecord:
    path = out.parent / "job.yaml"
    path.write_text(job, encoding="utf-8")
    chosen = ChosenModel(FakeModel(), {"sha256": model}, load_s=0.0)
    return screen_to_files(
        choose_screen(str(path), None), chosen, out, nullcontext(scorer), console, resume, keep_shards
    )


def refusal(*args: object, **kwargs: object) -> str:
    with pytest.raises(InputError) as error:
        screened(*args, **kwargs)
    return str(error.value)


def test_the_files_of_a_screen(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    out.parent.mkdir()
    record = screened(out)
    names = ["predictions", "ranked.csv", "ranked.png", "run.json"]
    assert sorted(path.name for path in out.iterdir()) == names

    ranked = pd.read_csv(record.ranked)
    name = "log10_conductivity_S_cm"
    assert list(ranked) == [
        *("rank", "candidate", "solvent_1", "solvent_1_smiles", "weight_fraction_1"),
        *("solvent_2", "solvent_2_smiles", "weight_fraction_2"),
        *("salt", "salt_smiles", "molality_mol_kg", "temperature_K"),
        *(f"{name}_mean", f"{name}_std", f"{name}_std_epistemic", f"{name}_std_aleatoric"),
        *(f"{name}_lower_90", f"{name}_upper_90", "in_domain", "score"),
    ]
    assert ranked["rank"].tolist() == list(range(1, 101))
    assert ranked["score"].is_monotonic_decreasing
    variance = ranked[f"{name}_std_epistemic"] ** 2 + ranked[f"{name}_std_aleatoric"] ** 2
    assert (ranked[f"{name}_std"] ** 2).to_list() == pytest.approx(variance.to_list(), rel=1e-4)
    half = (ranked[f"{name}_upper_90"] - ranked[f"{name}_lower_90"]) / 2
    assert half.to_list() == pytest.approx((1.5 * ranked[f"{name}_std"]).to_list(), rel=1e-4)
    assert (
        record.ranked.read_text(encoding="utf-8").splitlines()[1].split(",")[12].lstrip("-").count(".") == 1
    )

    every = pd.concat([pd.read_parquet(path) for path in sorted(record.shards.iterdir())])
    head = every.sort_values(["score", "candidate"], ascending=[False, True]).head(100)
    assert ranked["candidate"].tolist() == head["candidate"].tolist()

    run = json.loads(record.summary.read_text(encoding="utf-8"))
    assert run["finished"] is True
    assert run["config"]["space"]["solvents"][11] == {
        "name": "EC",
        "smiles": "O=C1OCCO1",
        "molar_mass_g_mol": None,
    }
    assert run["counts"] == {
        "candidates": 5346,
        "in_domain": int(every["in_domain"].sum()),
        "out_of_domain": int((~every["in_domain"]).sum()),
        "ranked": 100,
        "of_earlier_runs": 0,
    }
    assert run["model"] == {"sha256": "a"}
    assert run["candidates_per_second"] > 0
    assert {"load_model", "start_engine", "workers_computing", "write_ranked"} <= set(run["timings_s"])


def test_a_list_without_shards_is_the_same(tmp_path: Path) -> None:
    with_shards, without = screened(tmp_path / "a"), screened(tmp_path / "b", keep_shards=False)
    assert not without.shards.exists()
    assert without.ranked.read_bytes() == with_shards.ranked.read_bytes()


def test_a_finished_screen_is_left_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    screened(out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert refusal(out) == (
        f"{out}: it holds the run.json of a screen already; nothing was changed. "
        "Give another --out, or continue that screen with --resume."
    )
    screened(out, resume=True)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_results_of_unknown_origin_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "ranked.csv").write_text("mine", encoding="utf-8")
    assert "it holds the ranked.csv of a screen already" in refusal(tmp_path)
    assert "it holds the ranked.csv of a screen already" in refusal(tmp_path, resume=True)
    assert (tmp_path / "ranked.csv").read_text(encoding="utf-8") == "mine"


def test_a_resume_of_another_screen_is_refused_by_what_differs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    screened(out)
    other = JOB.replace("COCC, EC", "COCC, DMC").replace("100", "99")
    told = refusal(out, other, model="b", resume=True, keep_shards=False).splitlines()
    where = f'{out / "run.json"}, "'
    mend = "Give another --out, or what stands there."
    assert told == [
        f'{where}config.top_k": the screen there has 100, this one has 99. {mend}',
        f'{where}config.space.solvents.12.name": the screen there has EC, this one has DMC. {mend}',
        f'{where}config.space.solvents.12.smiles": the screen there has O=C1OCCO1, this one has '
        f"COC(=O)OC. {mend}",
        f'{where}shards": the screen there has True, this one has False. {mend}',
        f'{where}model.sha256": the screen there has a, this one has b. {mend}',
    ]


def test_a_resume_where_nothing_stands_begins(tmp_path: Path) -> None:
    assert screened(tmp_path / "out", resume=True).is_finished()


def test_damaged_records_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    record = screened(out)
    run = json.loads(record.summary.read_text(encoding="utf-8"))
    record.summary.write_text(json.dumps({**run, "finished": False}), encoding="utf-8")
    (out / "progress.npz").write_bytes(b"half")
    assert refusal(out, resume=True) == (
        f"{out}/progress.npz: the file is damaged. Remove it to screen all again."
    )
    record.summary.write_text("{", encoding="utf-8")
    assert refusal(out, resume=True) == (
        f"{out}/run.json: the file is damaged. Start again in another --out."
    )


def contents(record: ScreenRecord) -> dict[str, bytes]:
    paths = [record.ranked, *record.shards.iterdir()]
    return {path.name: path.read_bytes() for path in paths}


def interrupted(screen: Screen, chunks: Iterable[range]) -> Iterator[ScoredChunk]:
    yield from in_process(screen, list(chunks)[:3])
    raise KeyboardInterrupt


@pytest.mark.parametrize("gone", [["part-1024-2048"], ["part-0000-1024", "part-2048-3072", "part-4096-5120"]])
def test_a_resume_makes_removed_shards_again(tmp_path: Path, gone: list[str]) -> None:
    whole = contents(screened(tmp_path / "whole"))
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        screened(out, scorer=interrupted)
    for name in gone:
        (out / "predictions" / f"{name}.parquet").unlink(missing_ok=True)
    record = screened(out, resume=True)
    assert contents(record) == whole
    counts = json.loads(record.summary.read_text(encoding="utf-8"))["counts"]
    assert (counts["candidates"], counts["of_earlier_runs"]) == (5346, 3072)


@pytest.mark.parametrize("everything", [False, True])
def test_a_resume_of_a_finished_screen_makes_removed_shards_again(tmp_path: Path, everything: bool) -> None:
    out = tmp_path / "out"
    record = screened(out)
    whole = contents(record)
    if everything:
        shutil.rmtree(record.shards)
    else:
        (record.shards / "part-5120-5346.parquet").unlink()
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    told = Console(file=io.StringIO())
    assert contents(screened(out, resume=True, console=told)) == whole
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    shards, candidates = ("6", "5,346") if everything else ("1", "226")
    lines = told.file.getvalue().splitlines()
    assert lines[0] == f"Shards that are gone and are made again: {shards}"
    assert lines[-1].startswith(f"{candidates} of {candidates} candidates of lost shards, ")


def test_a_shard_that_went_elsewhere_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activelearn.screening.write_shard", lambda path, rows: None)
    out = tmp_path / "out"
    assert refusal(out) == (
        f"{out}/predictions: 6 of 6 shards are not there, the first of them part-0000-1024.parquet. "
        "Start again with an --out that every machine of the cluster sees, or with --no-shards."
    )
    assert not (out / "ranked.csv").exists()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert refusal(tmp_path / "file") == (
        f"{tmp_path}/file: the directory cannot be written: File exists. Give another --out."
    )


def test_a_model_of_another_target_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "out", f"target: viscosity_mPas\n{JOB}") == (
        "target: the model predicts log10_conductivity_S_cm, the screen asks for viscosity_mPas. "
        "Give another model or mend the target."
    )
    assert not (tmp_path / "out").exists()


def test_the_local_engine_takes_no_workers() -> None:
    with pytest.raises(InputError) as error:
        choose_engine("local", 2, None)
    assert str(error.value) == (
        "--engine local: --workers and --ray-address mean nothing without Ray. "
        "Leave them out, or take --engine ray."
    )


def test_the_summary_shows_the_ten_best_and_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = screened(tmp_path / "out")
    print_summary(record, Console(width=120))
    lines = capsys.readouterr().out.splitlines()
    first = pd.read_csv(record.ranked).iloc[0]
    assert "The 10 best of 5,346 candidates by log10_conductivity_S_cm" in lines[0]
    assert f"{first['solvent_1']} + {first['solvent_2']}" in lines[3]
    assert f"{first['log10_conductivity_S_cm_mean']:.2f}" in lines[3]
    assert lines[3].rstrip().endswith("yes" if first["in_domain"] else "no")
    assert [line for line in lines if str(tmp_path) in line] == [
        f"The list: {record.ranked}",
        f"All candidates: {record.shards}/*.parquet",
        f"The list as a figure: {record.figure}",
        f"What was run: {record.summary}",
    ]


LAW_JOB = """
top_k: 5
space:
  solvents: [EC, DMC, DEC, DME, {name: liquid, smiles: "CC[n+]1ccn(C)c1.F[B-](F)(F)F"}]
  salts: [LiPF6, LiBF4, "[F-].[F-].[Li+].[Na+]", "[Li]Br"]
  molality_mol_kg: [0.0, 0.5, 1.5]
  temperature_K: [100, 260, 320]
"""


def test_a_law_model_of_a_directory_screens(tmp_path: Path) -> None:
    facts = {"source": "mixtures.csv", "sha256": "0", "rows": 60}
    model = tmp_path / "model"
    save_model(small_law_ensemble(), card_of(small_law_ensemble(), SETTINGS, facts, 3, {}, ()), model)
    (tmp_path / "job.yaml").write_text(LAW_JOB, encoding="utf-8")
    config = choose_screen(str(tmp_path / "job.yaml"), None)
    out = tmp_path / "out"
    record = screen_to_files(config, choose_model(str(model)), out, nullcontext(in_process), QUIET)

    run = json.loads(record.summary.read_text(encoding="utf-8"))
    assert run["model"] == {"sha256": model_hash(model), "seed": 3, "data": facts}
    assert run["counts"]["candidates"] == 10 * 4 * 3 * 3
    every = pd.concat([pd.read_parquet(path) for path in sorted(record.shards.iterdir())])
    space = config.space.space()
    said = small_law_ensemble().bind(space.table).predict(space[0 : len(space)])
    mean = every.sort_values("candidate")["mean"]
    assert mean.to_list() == pytest.approx(said.mean.tolist(), rel=1e-6)
    ranked = pd.read_csv(record.ranked)
    assert ranked["log10_conductivity_S_cm_mean"].to_list() == pytest.approx(
        said.mean.topk(5).values.tolist(), rel=1e-4
    )
    assert set(ranked["temperature_K"]) == {320}  # colder than all that was seen, no pole of the law ranks


def test_every_model_that_ships_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in SHIPPED:
        assert choose_model(name).facts["data"]["rows"] > 1000
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^molsets-conductivity/card.json: cannot be read"):
        choose_model("./molsets-conductivity")


def test_a_molsets_model_is_not_asked_for_mixtures_without_salt(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(JOB.replace("0.5, 1.0, 1.5", "0.0, 1.0"), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        screen_to_files(
            choose_screen(str(job), None),
            choose_model(SHIPPED[0]),
            tmp_path / "out",
            nullcontext(in_process),
            QUIET,
        )
    assert str(caught.value) == (
        'key "space.molality_mol_kg": 0 is a mixture without salt; a model of encoder: molsets takes one '
        "salt a mixture. Remove the 0, or give a model trained with encoder: diffmix."
    )
    assert not (tmp_path / "out").exists()
