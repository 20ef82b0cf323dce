"""A module imports only from lower layers, and no two packages import one another."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "pinn_ngd"
LAYERS = [
    ("_catalog", "_listing", "_names", "_registry", "_settings", "_tree"),
    ("linalg", "geometry", "storage"),
    ("spu",),
    ("models", "families"),
    ("objectives",),
    ("states", "evaluation"),
    ("metrics",),
    ("optimizers", "validation"),
    ("training",),
    ("experiments",),
    ("applications",),
    ("cli",),
    ("__init__", "__main__"),
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FILES = sorted(PACKAGE.rglob("*.py"))


def _imported(file: pathlib.Path) -> set[str]:
    """The modules of the package that a file imports, as paths like "geometry.domains"."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parts[: len(parts) - node.level]
            target = [*base, *(node.module.split(".") if node.module else [])]
            names |= _resolved(target, [alias.name for alias in node.names])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pinn_ngd"):
            target = (node.module or "").split(".")[1:]
            names |= _resolved(target, [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            found = [a.name for a in node.names if a.name.startswith("pinn_ngd.")]
            names |= {name.removeprefix("pinn_ngd.") for name in found}
    return names


def _resolved(target: list[str], names: list[str]) -> set[str]:
    """The imported modules: submodules that are named, else the module they are taken from."""
    folder = PACKAGE.joinpath(*target)
    modules = [n for n in names if (folder / f"{n}.py").is_file() or (folder / n).is_dir()]
    found = {".".join([*target, name]) for name in modules}
    return found | ({".".join(target)} if target and len(modules) < len(names) else set())


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_no_upward_import(file):
    top = file.relative_to(PACKAGE).with_suffix("").parts[0]
    assert top in RANK, f"{top} has no layer: add it to LAYERS"
    others = {name.split(".")[0] for name in _imported(file)} - {top}
    upward = {name for name in others if RANK[name] >= RANK[top] > 0}
    assert not upward


def _modules() -> dict[str, pathlib.Path]:
    """Every module by its dotted name; a package goes by the name of its folder."""
    names = {}
    for file in FILES:
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return names


def test_no_circles():
    """Following imports never leads back: what a circle holds cannot be understood in parts."""
    modules = _modules()
    arrows = {name: _imported(file) & set(modules) for name, file in modules.items()}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above[above.index(name) :], name])
        if name not in done:
            for other in sorted(arrows[name]):
                visit(other, (*above, name))
            done.add(name)

    for name in modules:
        visit(name, ())


def test_only_one_place_calls_linear_solve():
    callers = {
        str(file.relative_to(PACKAGE))
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "linear_solve"
    }
    assert callers == {"linalg/calling.py"}


def test_files_stay_small():
    long = {f.name: n for f in FILES if (n := len(f.read_text().splitlines())) > 350}
    assert not long
