"""A module imports only from its own layer or from lower ones."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "pinn_ngd"
LAYERS = [
    ("_names", "_settings", "_tree"),
    ("linalg", "domains", "grids", "quadrature", "calculus", "models"),
    ("objectives",),
    ("metrics", "acoustics"),
    ("optimizers",),
    (
        "training",
        "validation",
        "evaluation",
        "host_function",
        "problem",
        "problem_file",
        "verification",
        "data",
        "scores",
        "text",
    ),
    (
        "runs",
        "classify",
        "finetune",
        "plotting",
        "studies",
        "gallery",
        "cli",
        "__main__",
        "__init__",
    ),
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FILES = sorted(PACKAGE.rglob("*.py"))


def _imported(file: pathlib.Path) -> set[str]:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parts[: len(parts) - node.level]
            target = [*base, *(node.module.split(".") if node.module else [])]
            names |= {target[0]} if target else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pinn_ngd"):
            rest = (node.module or "").split(".")[1:]
            names |= {rest[0]} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("pinn_ngd.")}
    return {name for name in names if name in RANK}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_no_upward_import(file):
    top = file.relative_to(PACKAGE).with_suffix("").parts[0]
    assert top in RANK, f"{top} has no layer: add it to LAYERS"
    upward = {name for name in _imported(file) if RANK[name] > RANK[top]}
    assert not upward


def test_only_one_place_calls_linear_solve():
    callers = {
        str(file.relative_to(PACKAGE))
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "linear_solve"
    }
    assert callers == {"linalg/system.py"}


def test_files_stay_small():
    long = {f.name: n for f in FILES if (n := len(f.read_text().splitlines())) > 350}
    assert not long
