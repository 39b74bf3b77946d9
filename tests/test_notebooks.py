"""The notebooks show what they compute, from one run, and nothing of the machine they ran on."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
_ABSOLUTE = re.compile(r"(?<![\w<.:/])/\w[\w.-]*/|\b[A-Z]:\\")


def _read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def _code(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in _read(path)["cells"] if cell["cell_type"] == "code"]


def shows_something(source: str) -> bool:
    """Return whether a cell prints, or ends in an expression other than a setting of warnings."""
    tree = ast.parse(source)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    ends_in_value = bool(tree.body) and isinstance(tree.body[-1], ast.Expr)
    return "print" in names or (ends_in_value and "warnings" not in names)


def test_there_are_three() -> None:
    names = ["1_screen.ipynb", "2_gradient_against_bayesian.ipynb", "3_laboratory_loop.ipynb"]
    assert [path.name for path in NOTEBOOKS] == names


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\nx", True),
        ("for i in range(2):\n    print(i)", True),
        ("import warnings\nwarnings.filterwarnings('ignore', 'x')", False),
        ("x = 1", False),
        ("", False),
    ],
)
def test_what_counts_as_shown(source: str, expected: bool) -> None:
    assert shows_something(source) is expected


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_what_is_shown_is_kept_from_one_run(path: Path) -> None:
    cells = _code(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    quiet = [
        cell["source"] for cell in cells if shows_something("".join(cell["source"])) and not cell["outputs"]
    ]
    assert quiet == []
    kinds = [output["output_type"] for cell in cells for output in cell["outputs"]]
    assert "error" not in kinds
    assert "stderr" not in [output.get("name") for cell in cells for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell["outputs"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_nothing_tells_the_machine_or_the_time(path: Path) -> None:
    for cell in _read(path)["cells"]:
        assert cell["metadata"] == {}
        texts = ["".join(cell["source"])]
        for output in cell.get("outputs", []):
            said = {**output.get("data", {}), "text": output.get("text", "")}
            texts += ["".join(text) for kind, text in said.items() if not kind.startswith("image/")]
        assert [text for text in texts if _ABSOLUTE.search(text)] == []


@pytest.mark.parametrize("text", ["/tmp/w/x", 'see "/home/me/campaign.db"', "C:\\Users\\me"])
def test_absolute_paths_are_recognised(text: str) -> None:
    assert _ABSOLUTE.search(text)


@pytest.mark.parametrize("text", ["PC/DMC/EC", "</td></tr>", "S/cm and mol/kg", "https://a.org/b/c"])
def test_units_tags_and_addresses_are_no_paths(text: str) -> None:
    assert not _ABSOLUTE.search(text)


def test_the_kernel_is_the_python_that_runs_the_tests() -> None:
    assert {_read(path)["metadata"]["kernelspec"]["name"] for path in NOTEBOOKS} == {"python3"}
    assert KernelManager(kernel_name="python3").format_kernel_cmd()[0] == sys.executable
