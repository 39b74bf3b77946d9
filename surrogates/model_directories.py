"""A model directory: `model.safetensors` with all tensors, `card.json` with all else that makes the model.

`held_out.csv`, which no loader needs, holds what was said of test rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError
from safetensors.torch import save_file
from torch import Tensor

from surrogates.errors import InputError, Problem

CardT = TypeVar("CardT", bound=BaseModel)
WEIGHTS, CARD = "model.safetensors", "card.json"
HELD_OUT = "held_out.csv"
_KINDS: Mapping[str | None, str] = {
    None: "electrolytes",
    "discharge": "discharge profiles",
    "excess": "excess properties",
}
"""What a model is of, by the `kind` in its card."""


def write_directory(
    tensors: Mapping[str, Tensor], card: BaseModel, directory: Path, held_out: pd.DataFrame | None = None
) -> None:
    """Write tensors, a card and, if it has rows, a table as a model directory, whole or not at all.

    Raises:
        InputError: If something stands there already, or it cannot be written.
    """
    check_free(directory)
    try:
        with written_directory(directory) as unfinished:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, unfinished / WEIGHTS)
            (unfinished / CARD).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
            if held_out is not None and len(held_out):
                held_out.to_csv(unfinished / HELD_OUT, index=False)
    except OSError as error:
        wrong = f"the model cannot be written here: {os.strerror(error.errno or 0)}"
        raise InputError(Problem(str(directory), wrong, "Give another directory.")) from None


@contextmanager
def written_directory(directory: Path) -> Iterator[Path]:
    """Give a temporary directory that becomes `directory`, new or empty, once the block has ended well."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)
        os.replace(unfinished, directory)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def check_free(directory: Path) -> None:
    """Check that a directory can be written: nothing stands there, or an empty directory.

    Raises:
        InputError: If something stands there, or nothing can be written there.
    """
    check_place(directory, "Give another directory.")
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        wrong = "something stands here already; an empty or new directory was expected"
        raise InputError(Problem(str(directory), wrong, "Give another directory, or move this one away."))


def check_place(path: Path, mend: str) -> None:
    """Check that a file or directory can be made at a path, whatever stands there now.

    Args:
        path: May lie in directories that are still to be made.
        mend: What to do if not, a sentence.

    Raises:
        InputError: If the path cannot be, or nothing can be written where it would stand.
    """
    try:
        path.exists()  # for the error of a name that is too long
        place = next((parent for parent in path.absolute().parents if parent.exists()), path)
    except OSError as error:
        wrong = f"nothing can be written here: {os.strerror(error.errno or 0)}"
        raise InputError(Problem(str(path), wrong, mend)) from None
    if not place.is_dir() or not os.access(place, os.W_OK):
        what = "cannot be written to" if place.is_dir() else "is a file, not a directory"
        raise InputError(Problem(str(path), f"{place} {what}", mend))


def read_card(directory: Path, card_type: type[CardT]) -> CardT:
    """Read a card of some type.

    Raises:
        InputError: If it is missing, of another kind of model, or no such card.
    """
    path = directory / CARD
    try:
        content = path.read_bytes()
        _check_kind(directory, content, card_type)
        return card_type.model_validate_json(content)
    except OSError as error:
        raise unreadable(path, os.strerror(error.errno or 0)) from None
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise unreadable(path, "; ".join(wrong)) from None


def _check_kind(directory: Path, content: bytes, card_type: type[BaseModel]) -> None:
    """Check that a card that can be read says it is of some type; what else is wrong is not told here.

    Raises:
        InputError: If it is of another kind of model.
    """
    try:
        card = json.loads(content)
    except ValueError:
        return
    if not isinstance(card, dict) or "format" not in card:
        return
    field = card_type.model_fields.get("kind")
    wanted, came = None if field is None else field.default, card.get("kind")
    if came != wanted and came in list(_KINDS):  # a list, for what came may be anything
        wrong = f"this is a model of {_KINDS[came]}; one of {_KINDS[wanted]} was expected"
        raise InputError(Problem(str(directory), wrong, "Give another directory."))


def model_kind(directory: Path) -> object:
    """Return the `kind` in the card of a directory; None of electrolytes, and where no card can be read."""
    try:
        card = json.loads((directory / CARD).read_bytes())
    except (OSError, ValueError):
        return None
    return card.get("kind") if isinstance(card, dict) else None


def model_hash(directory: Path) -> str:
    """Return the sha256 over the names and bytes of a model directory's two files.

    Raises:
        InputError: If one is missing or cannot be read.
    """
    digest = hashlib.sha256()
    for path in (directory / CARD, directory / WEIGHTS):
        try:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        except OSError as error:
            raise unreadable(path, os.strerror(error.errno or 0)) from None
    return digest.hexdigest()


def unreadable(path: Path, why: str) -> InputError:
    """Return the error of a file that is missing or damaged."""
    mend = "Give a directory that `activelearn train` wrote, or train the model again."
    return InputError(Problem(str(path), f"cannot be read as part of a model: {why}", mend))
