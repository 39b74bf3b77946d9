"""From the YAML of a screen of cathodes to its files, in this process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from activelearn.screening import Engine, ScoredChunk, Screen, in_process
from campaigns.screen import ChosenModel, choose_screen, model_for, print_summary, screen_to_files
from campaigns.screen_record import ScreenRecord
from surrogates.composition_batches import Conditions, read_formulas
from surrogates.discharge import discharge, embed_compositions
from surrogates.discharge_models import discharge_model
from surrogates.errors import InputError
from tests.synthetic_cathodes import NAMES, FakeCathodeModel

JOB = """
top_k: 40
objectives:
  - {quantity: capacity, rate_mA_g: 20, window_V: [1.5, 4.8], cycle: 1}
  - {quantity: retention_30, rate_mA_g: 20, window_V: [1.5, 4.8]}
space:
  metals: [Mn2+, Mn3+, Cr3+, V3+, Ti4+, Nb5+]
  metals_per_composition: [3, 4]
  lithium: [1.2]
  fluorine: [0.0, 0.1, 0.2]
  step: 0.05
"""
"""The space of `synthetic_cathodes`, three chunks."""
GRID = """
top_k: 6
objectives:
  - {quantity: capacity, rate_mA_g: 2, window_V: [1.5, 4.8], cycle: 1}
space:
  metals: [Mn2+, Mn3+, Mn4+]
  metals_per_composition: [1]
  lithium: [1.2, 1.3]
  fluorine: [0.0, 0.1, 0.2]
  step: 0.1
"""

NO_MAPS = ["predictions", "ranked.csv", "run.json"]


def screened(
    out: Path, job: str = JOB, resume: bool = False, shards: bool = True, engine: Engine = in_process
) -> ScreenRecord:
    path = out.parent / "job.yaml"
    path.write_text(job, encoding="utf-8")
    chosen = ChosenModel(FakeCathodeModel(), {"sha256": "a"}, load_s=0.0)
    config = choose_screen(str(path), None)
    return screen_to_files(config, chosen, out, nullcontext(engine), Console(quiet=True), resume, shards)


def backwards(screen: Screen, chunks: Iterable[range]) -> Iterator[ScoredChunk]:
    return in_process(screen, reversed(list(chunks)))


def interrupted(screen: Screen, chunks: Iterable[range]) -> Iterator[ScoredChunk]:
    yield from in_process(screen, list(chunks)[1:2])
    raise KeyboardInterrupt


def test_the_files_of_a_screen(tmp_path: Path) -> None:
    record = screened(tmp_path / "out")
    assert sorted(path.name for path in record.directory.iterdir()) == [
        "predictions",
        "ranked.csv",
        "run.json",
    ]
    ranked = pd.read_csv(record.ranked)
    parts = ("mean", "std", "std_epistemic", "std_aleatoric", "lower_90", "upper_90")
    assert list(ranked) == [
        *("rank", "candidate", "formula", "lithium"),
        *(f"{what}_{slot}" for slot in range(1, 5) for what in ("metal", "amount")),
        "fluorine",
        *(f"{name}_{part}" for name in NAMES for part in parts),
        *("in_domain", "pareto_rank", "warning"),
    ]
    assert ranked["warning"].isna().all()
    assert ranked["rank"].tolist() == list(range(1, 41))
    assert ranked["pareto_rank"].is_monotonic_increasing
    front = ranked[ranked["pareto_rank"] == 1]
    assert front["capacity_mAh_g_mean"].is_monotonic_decreasing
    assert front["retention_30_mean"].is_monotonic_increasing
    assert (ranked["retention_30_std_aleatoric"] == 0).all()
    half = (ranked["capacity_mAh_g_upper_90"] - ranked["capacity_mAh_g_lower_90"]) / 2
    assert half.to_list() == pytest.approx((2 * ranked["capacity_mAh_g_std"]).to_list(), rel=1e-4)

    run = json.loads(record.summary.read_text(encoding="utf-8"))
    every = pd.concat([pd.read_parquet(path) for path in sorted(record.shards.iterdir())])
    assert run["counts"] == {
        "candidates": 2131,
        "in_domain": int(every["in_domain"].sum()),
        "out_of_domain": int((~every["in_domain"]).sum()),
        "ranked": 40,
        "of_earlier_runs": 0,
        "pareto_front": len(front),
    }
    assert run["config"]["objectives"][1]["quantity"] == "retention_30"
    assert run["warnings"] == []


def test_neither_order_nor_shards_change_a_byte(tmp_path: Path) -> None:
    whole, turned = screened(tmp_path / "a"), screened(tmp_path / "b", engine=backwards)
    without = screened(tmp_path / "c", shards=False)
    assert turned.ranked.read_bytes() == whole.ranked.read_bytes() == without.ranked.read_bytes()
    for path in whole.shards.iterdir():
        assert (turned.shards / path.name).read_bytes() == path.read_bytes()


def test_a_resumed_screen_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole, out = screened(tmp_path / "whole"), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        screened(out, engine=interrupted)
    assert not (out / "ranked.csv").exists()
    kept = next((out / "predictions").iterdir())
    written = kept.stat().st_mtime_ns
    record = screened(out, resume=True)
    assert record.ranked.read_bytes() == whole.ranked.read_bytes()
    assert kept.stat().st_mtime_ns == written
    run = json.loads(record.summary.read_text(encoding="utf-8"))
    assert run["counts"]["of_earlier_runs"] == 1024


def test_a_resume_with_another_objective_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    screened(out)
    with pytest.raises(InputError) as error:
        screened(out, JOB.replace("20, window_V: [1.5, 4.8], cycle", "50, window_V: [1.5, 4.8], cycle"), True)
    assert str(error.value) == (
        f'{out}/run.json, "config.objectives.1.rate_mA_g": the screen there has 20.0, this one has 50.0. '
        "Give another --out, or what stands there."
    )


def test_the_summary_shows_the_front(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = screened(tmp_path / "out")
    print_summary(record, Console(width=120))
    lines = capsys.readouterr().out.splitlines()
    first = pd.read_csv(record.ranked).iloc[0]
    assert lines[0].strip() == (
        "The 10 best of 2,131 candidates by Pareto rank of capacity_mAh_g and retention_30"
    )
    assert first["formula"] in lines[3]
    assert f"{first['capacity_mAh_g_mean']:.0f} ± {first['capacity_mAh_g_std']:.0f}" in lines[3]


def test_the_model_that_ships_screens_a_grid_and_maps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(GRID, encoding="utf-8")
    config = choose_screen(str(path), None)
    chosen = model_for(config, None)
    assert chosen.facts["name"] == "drxnet-distilled"
    assert len(chosen.facts["sha256"]) == 64
    out = tmp_path / "out"
    record = screen_to_files(config, chosen, out, nullcontext(in_process), Console(quiet=True))
    ranked = pd.read_csv(record.ranked)
    assert sorted(ranked["formula"])[:2] == ["Li1.2Mn0.8O1.8F0.2", "Li1.2Mn0.8O1.9F0.1"]
    assert ranked["score"].is_monotonic_decreasing
    assert ranked["capacity_mAh_g_mean"].between(100, 400).all()
    assert (out / "maps.png").read_bytes().startswith(b"\x89PNG")
    (warning,) = json.loads(record.summary.read_text(encoding="utf-8"))["warnings"]
    assert warning.startswith("capacity_mAh_g: rate_mA_g is outside ")
    assert ranked["warning"].eq(warning).all()
    print_summary(record, Console(width=120))
    said = capsys.readouterr().out
    assert f"Warning: {warning}\n" in said
    assert f"The maps: {out}/maps.png\n" in said


@pytest.mark.usefixtures("published_weights")
def test_a_job_may_name_the_published_model(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text("model: drxnet-published\n" + GRID.replace("rate_mA_g: 2,", "rate_mA_g: 20,"), "utf-8")
    config = choose_screen(str(path), None)
    chosen = model_for(config, None)
    assert chosen.facts["name"] == "drxnet-published"
    engine = nullcontext(in_process)
    record = screen_to_files(config, chosen, tmp_path / "out", engine, Console(quiet=True))
    ranked = pd.read_csv(record.ranked).set_index("formula")
    model = discharge_model("drxnet-published")
    embedding = embed_compositions(model.members, *read_formulas(["Li1.3Mn0.7O1.9F0.1"]))
    asked = discharge(model.members, embedding, Conditions.of([20], [1], [1.5], [4.8])).capacity_mAh_g
    found = ranked.loc["Li1.3Mn0.7O1.9F0.1"]
    assert found["capacity_mAh_g_mean"] == pytest.approx(float(asked.mean()), rel=1e-4)
    assert found["capacity_mAh_g_std"] == pytest.approx(float(asked.std()), rel=1e-3)


def test_a_part_of_a_grid_is_not_mapped(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(GRID, encoding="utf-8")
    config = choose_screen(str(path), 5)
    out = tmp_path / "out"
    screen_to_files(config, model_for(config, None), out, nullcontext(in_process), Console(quiet=True))
    assert sorted(path.name for path in out.iterdir()) == NO_MAPS


def test_a_named_model_replaces_the_jobs(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(GRID, encoding="utf-8")
    with pytest.raises(InputError) as error:
        model_for(choose_screen(str(path), None, "drxnet"), "drxnet")
    assert str(error.value) == (
        'model "drxnet": no model has this name; there are drxnet-distilled and drxnet-published. '
        "To name a directory of your own, write ./drxnet."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            JOB.replace("objectives:", "objective:"),
            'job.yaml, key "objectives": the key is missing. Add it.\n'
            'job.yaml, key "objective": no such key. Did you mean "objectives"? Known here: constraints, '
            "kappa, model, objectives, rank_by, space, threshold, top_k.",
        ),
        (
            "objectives: []\nspace: {}\n",
            'job.yaml, key "objectives": [] came; list should have at least 1 item after validation, not 0. '
            "Correct the value.\n"
            + "\n".join(
                f'job.yaml, key "space.{key}": the key is missing. Add it.'
                for key in ("metals", "metals_per_composition", "lithium", "fluorine", "step")
            ),
        ),
        ("- space\n", "job.yaml: ['space'] came; keys with values were expected. Correct the value."),
    ],
)
def test_what_a_file_holds_says_which_screen_it_is(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        choose_screen(str(path), None)
    assert str(error.value) == message
