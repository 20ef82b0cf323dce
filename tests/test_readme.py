"""The code in the README and in the documentation runs as it stands."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def blocks(page: pathlib.Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_readme_starts_with_the_two_commands():
    first = blocks(ROOT / "README.md", "sh")[0].splitlines()
    assert first == [
        "pip install . && pinn-ngd solve poisson-2d",
        "pip install '.[test]' && pytest",
    ]


def python_blocks() -> dict[str, str]:
    """Every block of Python code by page and place; the same code on two pages is one block."""
    codes: dict[str, str] = {}
    for page in PAGES:
        if page.stem == "extending":  # in tests/test_extending.py
            continue
        for place, code in enumerate(blocks(page, "python"), start=1):
            codes.setdefault(code, f"{page.relative_to(ROOT).with_suffix('')}-{place}")
    return {name: code for code, name in codes.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", python_blocks())
def test_python_code_runs(name):
    scope: dict = {}
    exec(compile(python_blocks()[name], name, "exec"), scope)
    if "path" in scope:  # an L-curve: misfit and penalty are monotone in the weight
        path = scope["path"]
        assert (path.misfits[1:] > path.misfits[:-1] * (1 - 1e-6)).all()
        assert (path.penalties[1:] < path.penalties[:-1] * (1 + 1e-6)).all()
        return
    if "layer_coverage" in scope:  # a report on a network, of which every layer is captured
        assert not scope["layer_coverage"](
            scope["objective"], scope["model"], scope["objective"].batch()
        ).diagonal
        return
    if "JAXMg" in scope:  # it needs several GPUs from here on
        assert scope["optimizer"].solver == scope["JAXMg"]()
        return
    if "result" not in scope:  # an equation by conditioning: its value is 0.6
        assert abs(float(scope["mean"][0]) - 0.6) < 4 * float(scope["variance"][0]) ** 0.5 < 0.1
        return
    result = scope["result"]  # equations are solved; classifiers get unseen examples right
    if "bars" in scope:  # a fit of noisy measurements: its loss is half their number
        error = abs(float(result.model.k.value) - 0.5)
        assert error < 3 * float(scope["bars"].deviation(lambda m: m.k.value))
        return
    assert result.measures.get("test_accuracy", 0) > 0.95 or float(result.loss) < 1e-2


def test_linked_pictures_and_pages_exist():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
