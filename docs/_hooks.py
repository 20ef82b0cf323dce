"""The pages show the pictures of figures/, and the API page what each package exports."""

import ast
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "figures"


def on_files(files, config):
    """Add the pictures to the site."""
    for picture in sorted(FIGURES.glob("*.png")):
        files.append(File.generated(config, f"figures/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown, page, **_):
    """What is ../figures/ for a reader of the repository is figures/ on the site, whatever the
    folder of the page; on the API page every package lists what its `__init__.py` exports."""
    if page.file.src_uri == "api.md":
        markdown = re.sub(r"^::: (pinn_ngd[\w.]*)$", _with_members, markdown, flags=re.MULTILINE)
    up = "../" * page.file.src_uri.count("/")
    return markdown.replace(f"]({up}../figures/", f"]({up}figures/")


def exported(package: str) -> list[str]:
    """The public names that a package takes from its own modules, in their order: functions,
    classes and constants, but no modules."""
    file = ROOT.joinpath(*package.split(".")) / "__init__.py"
    taken = [n for n in ast.parse(file.read_text()).body if isinstance(n, ast.ImportFrom)]
    return [alias.name for node in taken if node.module for alias in node.names if alias.asname]


def _with_members(found: re.Match[str]) -> str:
    names = ", ".join(exported(found[1]))
    return f"::: {found[1]}\n    options: {{members: [{names}]}}"
