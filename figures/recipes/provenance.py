"""How a picture came about: command, versions, hardware, facts."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pinn_ngd.experiments.environment import environment


def provenance(name: str, quick: bool, **facts: Any) -> dict[str, Any]:
    """How a picture came about: command, versions, hardware, and the given facts."""
    here = environment()
    flag = ["--quick"] if quick else []
    return {
        "command": " ".join(["pinn-ngd", "figures", name, *flag]),
        "hardware": hardware(here),
        "versions": {"python": here["python"], **here["packages"]},
        **facts,
    }


def hardware(here: Mapping[str, Any]) -> str:
    """The machine in words: cores, model of the CPU, and the device that JAX ran on."""
    device = "the CPU" if here["backend"] == "cpu" else here["device"]
    words = f"{here['cores']} cores of {_cpu_model()}; JAX on {device}"
    return f"{words}, {here['default_dtype']} by default"


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
