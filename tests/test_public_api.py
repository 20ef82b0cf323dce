"""The names that people may rely on: written down, documented, and shown on the API page.

After a deliberate change: `python tests/test_public_api.py` writes the list anew.
"""

import importlib
import pathlib
import re
import types

import pytest

ROOT = pathlib.Path(__file__).parents[1]
LIST = pathlib.Path(__file__).with_name("public_names.txt")


def packages() -> list[str]:
    """The packages of the API page, after the top level."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return ["pinn_ngd", *re.findall(r"^::: (pinn_ngd[\w.]*)$", page, re.MULTILINE)]


def names_of(package: str) -> list[str]:
    """What a package exports: no modules, and nothing with an underscore."""
    module = importlib.import_module(package)
    file = pathlib.Path(module.__file__ or "")
    stub = file.with_suffix(".pyi")  # what is imported when it is first asked for
    source = (stub if stub.is_file() else file).read_text(encoding="utf-8")
    taken = re.findall(r"^\s*from \.\S* import \w+ as (\w+)$", source, re.MULTILINE)
    values = {name: getattr(module, name) for name in taken if not name.startswith("_")}
    return sorted(n for n, value in values.items() if not isinstance(value, types.ModuleType))


def written() -> str:
    return "".join(f"{package}.{name}\n" for package in packages() for name in names_of(package))


def test_no_name_comes_or_goes_unnoticed():
    assert written() == LIST.read_text(encoding="utf-8")


def test_every_package_of_the_library_is_on_the_page():
    folders = {path.parent for path in (ROOT / "pinn_ngd").glob("*/__init__.py")}
    private = {"cli"}  # used through `pinn-ngd`
    missing = {f"pinn_ngd.{f.name}" for f in folders if f.name not in private} - set(packages())
    assert not missing


@pytest.mark.parametrize("package", packages())
def test_every_public_function_and_class_says_what_it_is(package):
    module = importlib.import_module(package)
    assert (module.__doc__ or "").strip()
    for name in names_of(package):
        value = getattr(module, name)
        ours = getattr(value, "__module__", "").startswith("pinn_ngd")  # not an alias of a shape
        if ours and isinstance(value, type | types.FunctionType):
            assert (value.__doc__ or "").strip(), f"{package}.{name} has no docstring"


if __name__ == "__main__":
    LIST.write_text(written(), encoding="utf-8")
