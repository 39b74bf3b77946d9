"""Rules of the whole project that no single module can keep."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGES = ("surrogates", "activelearn", "campaigns")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[ ]", requirement)[0].lower() for requirement in requirements}


def test_help_answers_without_the_heavy_imports() -> None:
    script = (
        "import sys\n"
        "from campaigns.cli import main\n"
        "sys.argv = ['activelearn', '--help']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = {'torch', 'ray', 'rdkit', 'pandas', 'numpy', 'botorch', 'sklearn', 'scipy'}\n"
        "    print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Usage: activelearn" in run.stdout
    assert run.stdout.splitlines()[-1] == "heavy: []"


def test_every_import_is_declared() -> None:
    distributions = packages_distributions()
    imported: set[str] = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - set(PACKAGES)
    assert {distributions[name][0].lower() for name in foreign} <= _names(PROJECT["dependencies"])


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if not line.startswith("#"))
    required = _names(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
    assert required <= {name.replace("_", "-") for name in pins}
    assert pins["torch"] == "2.13.0"


def test_changelog_and_citation_name_the_same_version() -> None:
    version = PROJECT["version"]
    first = re.search(r"^## .*?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert first is not None
    assert first.group(1) == citation["version"] == version


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_passes_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
