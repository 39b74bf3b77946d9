"""From an ensemble and a space to a student that screens: what is written, and what is refused."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from activelearn.screening import in_process
from campaigns import distill
from campaigns.distill import distil_to_directory, draw, print_student, rate_ratio
from campaigns.screen import check_fits, choose_model, choose_screen, model_for, screen_to_files
from surrogates.checkpoints import card_of, load_card, load_model, save_model
from surrogates.errors import InputError
from surrogates.model_directories import model_hash
from surrogates.student import Student
from surrogates.student_training import StudentSettings
from tests.synthetic_laws import SETTINGS, TARGET, small_law_ensemble
from tests.synthetic_mixtures import small_ensemble
from tests.synthetic_students import small_student

QUIET = Console(quiet=True)
JOB = """
space:
  solvents: [EC, DMC, DEC, DME]
  salts: [LiPF6, LiBF4]
  fraction_step: 0.2
  molality_mol_kg: [0.5, 1.0, 1.5]
  temperature_K: [273.15, 298.15]
"""
"""288 candidates."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ensemble") / "model"
    card = card_of(small_law_ensemble(), SETTINGS, {"source": "a.csv", "sha256": "d", "rows": 60}, 3, {}, ())
    save_model(small_law_ensemble(), card, directory)
    return directory


def job(directory: Path, text: str = JOB) -> str:
    path = directory / "space.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def student(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("student")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distill, "TEACHING", StudentSettings(steps=60, learning_rate=1e-2))
        distil_to_directory(str(model), job(directory), directory / "out", 0, QUIET)
    return directory / "out"


def test_the_card_says_what_the_student_stands_for(model: Path, student: Path) -> None:
    card, ensemble = load_card(student), load_card(model)
    told = card.stands_for
    assert told is not None
    assert told.ensemble_sha256 == model_hash(model)
    assert (told.members, told.taught, told.errors.fresh) == (2, 231, 57)
    assert [one.smiles for one in told.space.salts] == ["F[P-](F)(F)(F)(F)F.[Li+]", "F[B-](F)(F)F.[Li+]"]
    assert told.space_sha256 == told.space.sha256()
    assert told.rate_ratio > 0
    assert told.errors.target_spread == small_law_ensemble().scale
    for key in ("target", "calibration", "domain_threshold", "salts", "data", "seed"):
        assert getattr(card, key) == getattr(ensemble, key)
    assert (card.settings.members, card.scores) == (1, ())
    assert isinstance(load_model(student), Student)


def test_a_screen_takes_the_student_and_says_what_it_stands_for(student: Path, tmp_path: Path) -> None:
    config = choose_screen(job(tmp_path), None)
    chosen = model_for(config, str(student))
    assert chosen.warnings == ()
    record = screen_to_files(config, chosen, tmp_path / "out", nullcontext(in_process), QUIET)
    run = json.loads(record.summary.read_text(encoding="utf-8"))
    told = load_card(student).stands_for
    assert told is not None
    assert run["model"]["sha256"] == model_hash(student)
    assert run["model"]["stands_for"] == told.model_dump(mode="json")
    ranked = pd.read_csv(record.ranked)
    space = choose_screen(job(tmp_path), None).space.space()
    said = choose_model(str(student)).model.bind(space.table).predict(space[:])
    mean = said.mean[torch.tensor(ranked["candidate"].to_numpy())]
    assert ranked[f"{TARGET}_mean"].to_list() == pytest.approx(mean.tolist(), rel=1e-4)


def test_beyond_its_space_a_screen_warns(student: Path, tmp_path: Path) -> None:
    wider = JOB.replace("[EC,", "[EC, PC,").replace("298.15", "323.15")
    assert model_for(choose_screen(job(tmp_path, wider), None), str(student)).warnings == (
        "the model stands for an ensemble and was taught on a space beyond which this one goes in "
        "1 of its 5 solvents, temperature; what the ensemble says there it does not know",
    )


def refusal(model: str, job: str, out: Path) -> str:
    with pytest.raises(InputError) as refused:
        distil_to_directory(model, job, out, 0, QUIET)
    assert not out.exists() or [path.name for path in out.iterdir()] == ["mine"]
    return str(refused.value)


def test_what_cannot_be_distilled_is_refused(model: Path, student: Path, tmp_path: Path) -> None:
    out, space = tmp_path / "out", job(tmp_path)
    assert refusal(str(student), space, out) == (
        f"{student}: the model is a student itself; it has no members to learn from. "
        "Give an ensemble of networks."
    )
    assert refusal(str(model), "drx-lmof", out) == (
        "drx-lmof: a screen of cathodes came; one of mixtures was expected. "
        "`activelearn train drxnet-distilled` distils cathodes."
    )
    saltless = choose_screen(job(tmp_path, "target: y\n" + JOB.replace("[0.5,", "[0,")), None)
    for sets in (small_ensemble(), small_student("molsets")):
        with pytest.raises(InputError) as refused:
            check_fits(sets, sets.target, saltless)
        assert str(refused.value) == (
            'key "space.molality_mol_kg": 0 is a mixture without salt; a model of encoder: molsets takes one '
            "salt a mixture. Remove the 0, or give a model trained with encoder: diffmix."
        )
    few = job(tmp_path, JOB.replace("0.2", "0.5"))
    assert refusal(str(model), few, out) == (
        f"{few}: its space has 72 candidates; a student needs at least 100. "
        "Give a larger space, or screen it with the ensemble."
    )
    assert refusal(str(model), job(tmp_path, f"target: y\n{JOB}"), out) == (
        f"target: the model predicts {TARGET}, the screen asks for y. Give another model or mend the target."
    )
    out.mkdir()
    (out / "mine").touch()
    assert refusal(str(model), space, out) == (
        f"{out}: something stands here already; an empty or new directory was expected. "
        "Give another directory, or move this one away."
    )


@settings(max_examples=25)
@given(st.integers(100, 10**12), st.integers(0, 100))
def test_fresh_candidates_are_not_taught(candidates: int, seed: int) -> None:
    taught, fresh = draw(candidates, "space", seed)
    assert len(fresh) == min(10_000, candidates // 5)
    assert len(taught) == min(40_000, candidates - len(fresh))
    both = torch.cat([taught, fresh])
    assert len(both.unique()) == len(both)
    assert 0 <= int(both.min()) <= int(both.max()) < candidates


def test_the_rate_is_over_the_ensembles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @dataclass
    class Timed:
        seconds: float
        asked: int = 0

        def predict(self, batch: object) -> None:
            self.asked += len(batch)
            clock.append(self.seconds)

    def in_turns(jobs: dict[str, object], rounds: int) -> dict[str, float]:
        taken = {}
        for name, run in jobs.items():
            clock.clear()
            run()
            taken[name] = sum(clock)
        return taken

    clock: list[float] = []
    monkeypatch.setattr(distill, "in_turns", in_turns)
    space = choose_screen(job(tmp_path), None).space.space()
    student, ensemble = Timed(2.0), Timed(8.0)
    assert rate_ratio(student, ensemble, space) == 4.0
    assert (student.asked, ensemble.asked) == (288, 288)


MEANS, SPREADS, RATE = "means, mean absolute", "standard deviations, rank", "candidates a second"


@pytest.mark.parametrize(
    ("error", "correlation", "rate", "missed"),
    [
        (0.05, 0.85, 3.0, None),
        (0.051, 0.85, 3.0, MEANS),
        (0.05, 0.849, 3.0, SPREADS),
        (0.05, None, 3.0, SPREADS),
        (0.05, 0.85, 2.999, RATE),
    ],
)
def test_what_is_missed_is_said_of_its_own_line(
    error: float, correlation: float | None, rate: float, missed: str | None, student: Path
) -> None:
    card = load_card(student)
    assert card.stands_for is not None
    errors = type(card.stands_for.errors)(57, 2 * error, 2.0, 1.0, correlation, 0.1, 0.1)
    told = card.stands_for.model_copy(update={"errors": errors, "rate_ratio": rate})
    console = Console(width=120, record=True, file=io.StringIO())
    print_student(card.model_copy(update={"stands_for": told}), console)
    lines = console.export_text().splitlines()
    found = [line.strip() for line in lines if "missed" in line]
    assert len(found) == (missed is not None)
    assert all(line.startswith(str(missed)) for line in found)
    assert sum(f"{error:.3f}" in line for line in lines) == 1
