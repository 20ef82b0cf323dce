"""What importing and installing the package must and must not do."""

import importlib.metadata
import subprocess
import sys

import pinn_ngd


def test_import_changes_no_configuration_and_pulls_no_heavy_module():
    code = (
        "import pinn_ngd, jax, sys; assert not jax.config.jax_enable_x64; "
        "assert 'matplotlib' not in sys.modules; assert 'problems' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version_comes_from_the_metadata():
    assert pinn_ngd.__version__ == importlib.metadata.version("pinn-ngd")


def test_installed_files_are_all_under_the_package():
    files = importlib.metadata.files("pinn-ngd") or []
    tops = {f.parts[0] for f in files if ".." not in f.parts}
    allowed = {"pinn_ngd", "_editable_impl_pinn_ngd.pth"}
    assert {t for t in tops if not t.endswith(".dist-info")} <= allowed
