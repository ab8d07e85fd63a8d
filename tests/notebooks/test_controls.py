"""Controls of a notebook that ran to its end still answer: what they draw with was given no other meaning."""

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))


def cells_of(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = [(cell["id"], "".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    return [(cell_id, ast.parse(source)) for cell_id, source in sources]


def bound(tree):
    """Return the names that a cell gives a meaning, outside of functions and comprehensions."""
    names, waiting = set(), [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
            continue
        if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        waiting += ast.iter_child_nodes(node)
    return names


def needed(function, functions, seen=()):
    """Return the names that a function reads and does not bind itself, also through functions it calls."""
    own = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    own |= {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    read = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} - own
    for name in sorted(read & set(functions) - set(seen)):
        read |= needed(functions[name], functions, (*seen, name))
    return read


def lost(cells):
    """Return (cell, name, cell that gives it another meaning) for what an explorer draws with."""
    found, functions = [], {}
    for k, (cell_id, tree) in enumerate(cells):
        functions |= {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for call in ast.walk(tree):
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "show.explore"):
                continue
            draw = call.args[0]
            drawn = functions.get(draw.id) if isinstance(draw, ast.Name) else draw
            names = needed(drawn, functions) if drawn is not None else set()
            for later_id, later in cells[k + 1 :]:
                found += [(cell_id, name, later_id) for name in sorted(names & bound(later))]
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_control_loses_what_it_draws_with(path):
    assert lost(cells_of(path)) == []


def test_it_sees_a_name_that_is_used_again():
    sources = [
        "def add(k):\n    return k + base\ndef draw(k):\n    inner = 1\n    return str(add(k))",
        "base = 1\nshow.explore(draw, k=[1, 2])",
        "inner = 2\nk = 3\n[base for base in (1, 2)]",
        "for base in (1, 2):\n    pass",
    ]
    cells = [(str(k), ast.parse(source)) for k, source in enumerate(sources)]
    assert lost(cells) == [("1", "base", "3")]
    assert lost(cells[:3]) == []
