"""A model directory: `model.safetensors` with all tensors, `card.json` with all else."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from safetensors.torch import save_file
from torch import Tensor

from surrogates.errors import InputError, Problem

CardT = TypeVar("CardT", bound=BaseModel)
WEIGHTS, CARD = "model.safetensors", "card.json"


def write_directory(tensors: Mapping[str, Tensor], card: BaseModel, directory: Path) -> None:
    """Write tensors and a card as a model directory, whole or not at all.

    Raises:
        InputError: If something stands there already, or it cannot be written.
    """
    check_free(directory)
    try:
        with written_directory(directory) as unfinished:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, unfinished / WEIGHTS)
            (unfinished / CARD).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
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
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        wrong = "something stands here already; an empty or new directory was expected"
        raise InputError(Problem(str(directory), wrong, "Give another directory, or move this one away."))
    place = next(parent for parent in directory.absolute().parents if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        what = "cannot be written to" if place.is_dir() else "is a file, not a directory"
        raise InputError(Problem(str(directory), f"{place} {what}", "Give another directory."))


def read_card(directory: Path, card_type: type[CardT]) -> CardT:
    """Read a card of some type.

    Raises:
        InputError: If it is missing or is no such card.
    """
    path = directory / CARD
    try:
        return card_type.model_validate_json(path.read_bytes())
    except OSError as error:
        raise unreadable(path, os.strerror(error.errno or 0)) from None
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise unreadable(path, "; ".join(wrong)) from None


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
