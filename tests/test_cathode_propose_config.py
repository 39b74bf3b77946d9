"""The YAML of proposals of cathodes: what follows from the goal, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from activelearn.acquisition import Acquisition
from activelearn.cathode_pool import FrontKind
from campaigns.cathode_propose_config import CathodeProposeConfig
from campaigns.propose_config import AnyProposals, ProposeConfig, choose_proposals
from surrogates.errors import InputError
from tests.test_cathode_config import CAPACITY, RETENTION, SPACE


def read(tmp_path: Path, text: str) -> AnyProposals:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return choose_proposals(str(path))


@pytest.mark.parametrize(
    ("keys", "one", "several"),
    [
        ("", Acquisition("log-nei"), "log-nehvi"),
        ("goal: top\n", Acquisition("ucb"), "pareto-rank"),
    ],
)
def test_the_rule_follows_from_the_goal(
    tmp_path: Path, keys: str, one: Acquisition, several: FrontKind
) -> None:
    alone = read(tmp_path, keys + CAPACITY + SPACE)
    assert isinstance(alone, CathodeProposeConfig)
    assert alone.rule() == Acquisition(one.kind, 1.0)
    assert (alone.learns, alone.avoid_unknown, alone.seed) == ("gp", False, 0)
    both = read(tmp_path, keys + CAPACITY + RETENTION + SPACE)
    assert both.rule() == several


def test_a_rule_that_is_given(tmp_path: Path) -> None:
    ucb = read(tmp_path, f"acquisition: ucb\nkappa: 1.5\n{CAPACITY}{SPACE}")
    assert ucb.rule() == Acquisition("ucb", 1.5)
    ranked = read(tmp_path, f"acquisition: pareto-rank\n{CAPACITY}{RETENTION}{SPACE}")
    assert ranked.rule() == "pareto-rank"


def test_the_directory_of_a_model_counts_from_the_job(tmp_path: Path) -> None:
    assert read(tmp_path, f"model: ./mine\n{CAPACITY}{SPACE}").model == f"{tmp_path}/./mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"acquisition: log-nehvi\n{CAPACITY}{SPACE}",
            "job.yaml: acquisition: log-nehvi is none of one objective; there are log-nei, log-ei, ucb, pi, "
            "thompson, mean, exploration. Correct the values.",
        ),
        (
            f"acquisition: mean\n{CAPACITY}{RETENTION}{SPACE}",
            "job.yaml: acquisition: mean is none of several objectives; there are log-nehvi, pareto-rank. "
            "Correct the values.",
        ),
        (
            f"kappa: 1.0\n{CAPACITY}{SPACE}",
            "job.yaml: kappa must be given with acquisition: ucb, and only with it. Correct the values.",
        ),
        (
            f"learns: forest\n{CAPACITY}{SPACE}",
            "job.yaml, key \"learns\": 'forest' came; input should be 'gp' or 'nothing'. Correct the value.",
        ),
        (
            f"how: continuous\n{CAPACITY}{SPACE}",
            'job.yaml, key "how": no such key. Known here: acquisition, avoid_unknown, constraints, goal, '
            "kappa, learns, model, objectives, seed, space.",
        ),
        (SPACE, 'job.yaml, key "objectives": the key is missing. Add it.'),
        (
            f"constraints: {{bounds: {{Co: {{at_most: 0.1}}}}}}\n{CAPACITY}{SPACE}",
            'job.yaml: no amount is called "Co". There are Li, Mn, Ti, O, F. Correct the values.',
        ),
    ],
)
def test_what_cannot_be_proposed_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    assert str(error.value) == message


def test_files_without_objectives_and_metals_are_of_mixtures(tmp_path: Path) -> None:
    space = "space: {solvents: [EC, DMC], salts: [LiPF6]}\n"
    assert isinstance(read(tmp_path, space), ProposeConfig)


def test_the_bundled_job() -> None:
    config = choose_proposals("drx-proposals")
    assert isinstance(config, CathodeProposeConfig)
    assert config.names() == ("energy_Wh_kg", "retention_30")
    assert len(config.space.space()) == 7_928
    assert config.rule() == "log-nehvi"
