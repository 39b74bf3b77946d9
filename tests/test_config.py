"""The YAML loader refuses with all that is wrong, where, and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, model_validator

from campaigns import config
from campaigns.config import STRICT, bundled_job, load_yaml, resolve_job
from surrogates.errors import InputError


class Salt(BaseModel):
    model_config = STRICT

    name: str
    smiles: str | None = None


class Job(BaseModel):
    model_config = STRICT

    salts: list[Salt]
    top_k: Annotated[int, Field(ge=1)] = 100
    rank_by: Literal["mean", "ucb"] = "mean"
    molality: float = 1.0
    best: Salt | None = None

    @model_validator(mode="after")
    def _salts_differ(self) -> Job:
        if len({salt.name for salt in self.salts}) < len(self.salts):
            raise ValueError("salts holds one name twice")
        return self


def refusal(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "job.yaml"
    path.write_bytes(text.encode())
    with pytest.raises(InputError) as caught:
        load_yaml(path, Job)
    return str(caught.value).splitlines()


def test_reads_a_job(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("salts: [{name: LiPF6}, {name: LiFSI}]\ntop_k: 5\n", encoding="utf-8")
    job = load_yaml(path, Job)
    assert [salt.name for salt in job.salts] == ["LiPF6", "LiFSI"]
    assert (job.top_k, job.rank_by) == (5, "mean")


def test_every_problem_is_named_in_one_pass(tmp_path: Path) -> None:
    text = "salts: [{name: LiPF6, smile: F}, {smiles: F}]\ntopk: 5\ntop_k: 0\nrank_by: best\nmolality: .nan\n"
    assert refusal(tmp_path, text) == [
        'job.yaml, key "salts[item 1].smile": no such key. Did you mean "smiles"? Known here: name, smiles.',
        'job.yaml, key "salts[item 2].name": the key is missing. Add it.',
        'job.yaml, key "top_k": 0 came; input should be greater than or equal to 1. Correct the value.',
        "job.yaml, key \"rank_by\": 'best' came; input should be 'mean' or 'ucb'. Correct the value.",
        'job.yaml, key "molality": nan came; input should be a finite number. Correct the value.',
        'job.yaml, key "topk": no such key. Did you mean "top_k"? '
        "Known here: best, molality, rank_by, salts, top_k.",
    ]


def test_an_unknown_key_under_an_optional_model_names_the_nearest(tmp_path: Path) -> None:
    assert refusal(tmp_path, "salts: []\nbest: {name: LiPF6, smies: F}\n") == [
        'job.yaml, key "best.smies": no such key. Did you mean "smiles"? Known here: name, smiles.'
    ]


def test_a_rule_over_several_keys_speaks_for_itself(tmp_path: Path) -> None:
    assert refusal(tmp_path, "salts: [{name: LiPF6}, {name: LiPF6}]\n") == [
        "job.yaml: salts holds one name twice. Correct the values."
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "job.yaml: the file is empty. Write the job's keys into it."),
        ("# only a comment\n", "job.yaml: the file is empty. Write the job's keys into it."),
        (
            "[1, 2]\n",
            "job.yaml: [1, 2] came; keys with values were expected. Correct the value.",
        ),
        (
            "salts: [\ntop_k: 5\n",
            "job.yaml, line 3, column 1: not YAML, while parsing a flow sequence: "
            "expected ',' or ']', but got '<stream end>'. Correct the line.",
        ),
        (
            "salts: []\ntop_k: 1\ntop_k: 2\n",
            'job.yaml, line 3: key "top_k" stands here again, first on line 2. Keep one of them.',
        ),
        (
            "salts: [&s {name: LiPF6}, *s]\n",
            "job.yaml, line 1: an alias repeats this part. Write it out twice.",
        ),
        (
            "salts: !!python/object/apply:os.getcwd []\n",
            "job.yaml, line 1, column 8: not YAML, could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.getcwd'. Correct the line.",
        ),
        (
            "salts: 2020-13-45\n",
            "job.yaml: not YAML that can be read: month must be in 1..12. Correct the file.",
        ),
    ],
)
def test_what_is_not_a_job_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, text) == [message]


@pytest.mark.parametrize("text", ["a: &a [*a]", "!!bool x", "[" * 5000, "? [1]\n: 2", "a: !!int ''", "\x00"])
def test_hostile_text_is_refused_without_a_traceback(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text)


@given(st.text(alphabet=st.sampled_from("a: \n-[]{},&*!?|>'\"#%@x1.\t"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        config._parse(text, "job.yaml")
    except InputError as error:
        assert str(error).startswith("job.yaml")


def test_a_missing_file_a_directory_and_another_encoding_are_refused(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("salts: é".encode("latin-1"))
    expected = {
        tmp_path / "no.yaml": "there is no such file. Check the path.",
        tmp_path: "the file cannot be read: Is a directory. Check the path and its permissions.",
        latin: "the file is not UTF-8 text. Save it as UTF-8.",
    }
    for path, message in expected.items():
        with pytest.raises(InputError) as caught:
            load_yaml(path, Job)
        assert str(caught.value) == f"{path}: {message}"


def test_a_job_is_found_by_name_or_by_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "electrolytes.yaml").touch()
    monkeypatch.setattr(config, "files", lambda package: tmp_path)
    assert resolve_job("electrolytes") == bundled_job("electrolytes") == configs / "electrolytes.yaml"
    assert resolve_job("mine.yaml") == Path("mine.yaml")
    assert resolve_job("./electrolytes") == Path("electrolytes")
    with pytest.raises(InputError) as caught:
        resolve_job("electrolyte")
    assert str(caught.value) == (
        'job "electrolyte": no bundled job has this name; there are electrolytes. '
        'Did you mean "electrolytes"? '
        "To name a file of your own, give its path: electrolyte.yaml or ./electrolyte."
    )
