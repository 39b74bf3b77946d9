"""Model directories of any kind: whole or not there, hashed, and read as the kind that they are."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch
from pydantic import BaseModel
from safetensors.torch import load_file

from surrogates.errors import InputError
from surrogates.model_directories import (
    CARD,
    WEIGHTS,
    check_free,
    model_hash,
    model_kind,
    read_card,
    write_directory,
    written_directory,
)


class Card(BaseModel):
    name: str


class OtherCard(BaseModel):
    size: int


class KindCard(BaseModel):
    kind: Literal["excess"] = "excess"
    format: Literal[1] = 1
    size: int = 2


class DischargeCard(BaseModel):
    kind: Literal["discharge"] = "discharge"
    format: Literal[1] = 1


class MixtureCard(BaseModel):
    format: Literal[1] = 1
    shift: float = 0.5


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    out = tmp_path / "new" / "model"
    write_directory({"w": torch.arange(6.0).reshape(2, 3).T}, Card(name="mine"), out)
    return out


def test_tensors_and_card_come_back(saved: Path) -> None:
    assert read_card(saved, Card) == Card(name="mine")
    assert torch.equal(load_file(saved / WEIGHTS)["w"], torch.tensor([[0.0, 3], [1, 4], [2, 5]]))
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_card_of_another_kind_is_refused(saved: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_card(saved, OtherCard)
    assert str(refused.value) == (
        f"{saved / CARD}: cannot be read as part of a model: size: Field required. "
        "Give a directory that `activelearn train` wrote, or train the model again."
    )


@pytest.mark.parametrize(
    ("given", "asked", "wrong"),
    [
        (KindCard(), MixtureCard, "excess properties; one of electrolytes"),
        (MixtureCard(), KindCard, "electrolytes; one of excess properties"),
        (DischargeCard(), KindCard, "discharge profiles; one of excess properties"),
    ],
)
def test_a_model_of_something_else_is_told_in_a_sentence(
    given: BaseModel, asked: type[BaseModel], wrong: str, tmp_path: Path
) -> None:
    write_directory({"w": torch.zeros(1)}, given, tmp_path / "model")
    assert read_card(tmp_path / "model", type(given)) == given
    with pytest.raises(InputError) as refused:
        read_card(tmp_path / "model", asked)
    assert str(refused.value) == (
        f"{tmp_path / 'model'}: this is a model of {wrong} was expected. Give another directory."
    )


@pytest.mark.parametrize("text", ["[1]", "{", '"excess"', '{"format": 1, "kind": ["excess"]}'])
def test_what_is_no_card_is_told_as_damaged(text: str, saved: Path) -> None:
    (saved / CARD).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read as part of a model"):
        read_card(saved, KindCard)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError) as refused:
        write_directory({"w": torch.zeros(1)}, Card(name="mine"), tmp_path / "model")
    assert str(refused.value) == (
        f"{tmp_path / 'model'}: the model cannot be written here: No space left on device. "
        "Give another directory."
    )
    assert not list(tmp_path.iterdir())


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), written_directory(tmp_path / "out") as unfinished:
        (unfinished / "half.csv").write_text("1,")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    with written_directory(tmp_path / "out") as unfinished:
        (unfinished / "whole.csv").write_text("1,2")
        assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole.csv"]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_the_hash_sees_every_byte(saved: Path) -> None:
    before = model_hash(saved)
    (saved / CARD).write_text((saved / CARD).read_text() + "\n")
    assert model_hash(saved) != before


def test_a_place_that_cannot_hold_a_directory_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    out = tmp_path / "notes.txt" / "model"
    with pytest.raises(InputError) as refused:
        check_free(out)
    assert str(refused.value) == (
        f"{out}: {tmp_path / 'notes.txt'} is a file, not a directory. Give another directory."
    )
    long = tmp_path / ("x" * 300)
    with pytest.raises(InputError) as refused:
        check_free(long)
    assert str(refused.value) == (
        f"{long}: nothing can be written here: File name too long. Give another directory."
    )
    with pytest.raises(InputError, match=r"^/: something stands here already; "):
        check_free(Path("/"))


@pytest.mark.parametrize(
    ("content", "kind"),
    [('{"kind": "discharge"}', "discharge"), ("{}", None), ("[1]", None), ("{", None), (None, None)],
)
def test_the_kind_stands_in_the_card(tmp_path: Path, content: str | None, kind: str | None) -> None:
    if content is not None:
        (tmp_path / "card.json").write_text(content)
    assert model_kind(tmp_path) == kind
