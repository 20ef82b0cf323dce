"""What importing and installing the package must and must not do."""

import importlib.metadata
import subprocess
import sys

import pytest

import pinn_ngd


def test_import_changes_no_configuration_and_pulls_no_heavy_module():
    code = (
        "import pinn_ngd, jax, sys; assert not jax.config.jax_enable_x64; "
        "assert 'matplotlib' not in sys.modules; assert 'problems' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_line_lists_without_jax():
    """What is asked in a hurry is answered at once: nothing heavy is imported for it."""
    code = (
        "import sys; sys.argv[1:] = ['list']\n"
        "from pinn_ngd.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code in (0, None), end.code\n"
        "heavy = {'jax', 'numpy', 'scipy', 'equinox', 'optax', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert "engd-tr" in result.stdout


def test_every_name_is_there_and_what_is_rarely_used_is_not_loaded():
    code = (
        "import pinn_ngd, sys; [getattr(pinn_ngd, name) for name in dir(pinn_ngd)]; "
        "rare = {'scipy.stats', 'scipy.sparse', 'scipy.optimize', 'matplotlib', 'rich', 'typer'}; "
        "assert not rare & set(sys.modules), rare & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = pinn_ngd.trian


def test_version_comes_from_the_metadata():
    assert pinn_ngd.__version__ == importlib.metadata.version("pinn-ngd")


def test_installed_files_are_all_under_the_package():
    files = importlib.metadata.files("pinn-ngd") or []
    tops = {f.parts[0] for f in files if ".." not in f.parts}
    allowed = {"pinn_ngd", "_editable_impl_pinn_ngd.pth"}
    assert {t for t in tops if not t.endswith(".dist-info")} <= allowed
