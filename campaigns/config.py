"""The YAML files a user writes: found, read safely, checked, and refused with all that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from surrogates.errors import InputError, Problem

STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
"""What every model of a YAML file is: no unknown key, no change after reading, finite numbers."""

ModelT = TypeVar("ModelT", bound=BaseModel)


def load_yaml(path: Path, model_type: type[ModelT]) -> ModelT:
    """Read a YAML file into a checked model.

    Raises:
        InputError: If the file cannot be read, is not YAML, holds a key twice or an alias, or does
            not fit the model; an unknown key comes with the nearest known one.
    """
    return _checked(_parse(_read(path), path.name), model_type, path.name)


def load_yaml_of_kind(path: Path, kind: Callable[[object], type[ModelT]]) -> ModelT:
    """Read a YAML file into the model that `kind` chooses by what the file holds.

    Raises:
        InputError: As `load_yaml` does.
    """
    document = _parse(_read(path), path.name)
    return _checked(document, kind(document), path.name)


def load_yaml_by_key(path: Path, kinds: Mapping[str, type[ModelT]]) -> ModelT:
    """Read a YAML file into the model of the one key of `kinds` that it holds.

    Raises:
        InputError: As `load_yaml` does, or if the file holds none or several of these keys.
    """
    document = _parse(_read(path), path.name)
    keys = [key for key in kinds if isinstance(document, dict) and key in document]
    if len(keys) != 1:
        wrong = f"of the keys {', '.join(kinds)} there must be one; {' and '.join(keys) or 'none'} came"
        raise InputError(Problem(path.name, wrong, "Give the one that says what to train on."))
    return _checked(document, kinds[keys[0]], path.name)


def _checked(document: object, model_type: type[ModelT], name: str) -> ModelT:
    try:
        return model_type.model_validate(document)
    except ValidationError as error:
        problems = [_explain(details, document, model_type, name) for details in error.errors()]
    raise InputError(problems)


def bundled_job(name: str) -> Path:
    """Return the YAML file of a job that ships with the package.

    Raises:
        InputError: If no job has this name.
    """
    configs = Path(str(files("campaigns") / "configs"))
    jobs = {path.stem: path for path in configs.glob("*.yaml")}
    if name not in jobs:
        raise InputError(
            Problem(
                f'job "{name}"',
                f"no bundled job has this name; there are {', '.join(sorted(jobs))}",
                f"{_nearest(name, jobs)}To name a file of your own, give its path: {name}.yaml or ./{name}.",
            )
        )
    return jobs[name]


def resolve_job(text: str) -> Path:
    """Return the file that `text` names: a path if it has a suffix or a separator, else a bundled job.

    Raises:
        InputError: If it is neither.
    """
    is_path = Path(text).suffix != "" or "/" in text or "\\" in text
    return Path(text) if is_path else bundled_job(text)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        wrong, mend = "there is no such file", "Check the path."
    except UnicodeDecodeError:
        wrong, mend = "the file is not UTF-8 text", "Save it as UTF-8."
    except OSError as error:
        wrong, mend = f"the file cannot be read: {error.strerror}", "Check the path and its permissions."
    raise InputError(Problem(str(path), wrong, mend))


def _parse(text: str, name: str) -> object:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        problems = [] if node is None else list(_structure(node, name, set()))
        document = None if problems else yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
        wrong = ": ".join(part for part in (error.context, error.problem) if part)
        raise InputError(Problem(where, f"not YAML, {wrong}", "Correct the line.")) from None
    # On a value that does not fit its tag PyYAML raises what its constructor happened to meet.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        reason = shorten(str(error), 200)
        raise InputError(Problem(name, f"not YAML that can be read: {reason}", "Correct the file.")) from None
    if problems:
        raise InputError(problems)
    if document is None:
        raise InputError(Problem(name, "the file is empty", "Write the job's keys into it."))
    return document


def _structure(node: yaml.Node, name: str, seen: set[int]) -> Iterator[Problem]:
    """Yield what `safe_load` would let pass: repeated keys, of which it keeps the last, and aliases."""
    if isinstance(node, yaml.ScalarNode):
        return
    if id(node) in seen:  # an alias may also refer to itself, or multiply without bound
        yield Problem(f"{name}, {_line(node)}", "an alias repeats this part", "Write it out twice.")
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        first: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and first.setdefault(key.value, key) is not key:
                wrong = f'key "{key.value}" stands here again, first on {_line(first[key.value])}'
                yield Problem(f"{name}, {_line(key)}", wrong, "Keep one of them.")
            yield from _structure(value, name, seen)
    else:
        for item in node.value:
            yield from _structure(item, name, seen)


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


def _explain(details: Mapping[str, Any], document: object, model_type: type[BaseModel], name: str) -> Problem:
    path = _path_in(document, details["loc"], is_missing=details["type"] == "missing")
    where = f'{name}, key "{_dotted(path)}"' if path else name
    if details["type"] == "missing":
        return Problem(where, "the key is missing", "Add it.")
    if details["type"] == "extra_forbidden":
        keys = [part for part in path if isinstance(part, str)]
        known = _known_keys(model_type, keys[:-1])
        mend = f"{_nearest(keys[-1], known)}Known here: {', '.join(sorted(known))}."
        return Problem(where, "no such key", mend)
    expected = details["msg"].removeprefix("Value error, ").rstrip(".")
    if details["type"] in ("model_type", "model_attributes_type"):
        expected = "keys with values were expected"
    came = details["input"]
    if isinstance(came, dict) and details["type"] == "value_error":
        return Problem(where, expected, "Correct the values.")
    return Problem(where, f"{shorten(repr(came), 80)} came; {_lower_first(expected)}", "Correct the value.")


def _path_in(document: Any, location: tuple[int | str, ...], is_missing: bool) -> list[int | str]:
    """Return the part of pydantic's location that stands in the document, without names of types."""
    path: list[int | str] = []
    for part in location:
        try:
            document = document[part]
        except (LookupError, TypeError):
            continue
        path.append(part)
    return [*path, location[-1]] if is_missing else path


def _dotted(path: list[int | str]) -> str:
    text = ""
    for part in path:
        text += f"[item {part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _known_keys(annotation: object, keys: list[str]) -> set[str]:
    models = list(_models_in(annotation))
    if not keys:
        return {field for model in models for field in model.model_fields}
    below = [model.model_fields[keys[0]].annotation for model in models if keys[0] in model.model_fields]
    return {field for inner in below for field in _known_keys(inner, keys[1:])}


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models in an annotation such as `list[Salt] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f'Did you mean "{close[0]}"? ' if close else ""


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
