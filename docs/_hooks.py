"""The pages show the pictures of figures/, which lies beside docs/ and not inside it."""

from pathlib import Path

from mkdocs.structure.files import File

FIGURES = Path(__file__).resolve().parents[1] / "figures"


def on_files(files, config):
    """Add the pictures to the site."""
    for picture in sorted(FIGURES.glob("*.png")):
        files.append(File.generated(config, f"figures/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown, **_):
    """What is ../figures/ for a reader of the repository is figures/ on the site."""
    return markdown.replace("](../figures/", "](figures/")
