"""Reference solutions that are shipped as small arrays, where no exact solution is known."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from .._listing import problems_folder
from .._names import choose
from .clenshaw import chebyshev_series
from .plane_series import PlaneSeries
from .stokes_flow import StokesFlow


class SpectralReference(eqx.Module):
    """u(t, x) = sum_r T_r(t) X_r(x) for 0 <= t <= 1 and -1 <= x <= 1, of period 2 in x.

    T_r is a Chebyshev series with the coefficients `time` (r, n) on [0, 1], in t or with `root` in
    the root of t, and X_r the real part of X_r0 + 2 sum_k X_rk exp(i pi k x) with `waves` (r, m),
    complex or, for even functions, real. It is a smooth function of ONE point x = (t, x), t > 0,
    and so has derivatives and an error in H1. `accuracy` is its own relative error in
    L2: errors below it cannot be measured with it. `benchmarks/references.py` made the files.
    """

    time: Float[Array, "r n"]
    waves: Inexact[Array, "r m"]
    root: bool = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, " 2"]) -> Float[Array, ""]:
        t = jnp.sqrt(x[0]) if self.root else x[0]
        return jnp.dot(chebyshev_series(self.time, 2 * t - 1), self._in_space(x[1]))

    def _in_space(self, x: Float[Array, ""]) -> Float[Array, " r"]:
        angles = np.pi * np.arange(self.waves.shape[1]) * x
        twice = jnp.where(np.arange(self.waves.shape[1]) == 0, 1.0, 2.0)
        even = self.waves.real @ (twice * jnp.cos(angles))
        if not jnp.iscomplexobj(self.waves):
            return even
        return even - self.waves.imag @ (twice * jnp.sin(angles))


def shipped_reference(name: str) -> SpectralReference | StokesFlow | PlaneSeries:
    """The reference solution of a shipped problem, such as "kdv" or "stokes-cavity".

    Raises ValueError for an unknown name.
    """
    folder = problems_folder() / "references"
    names = {file.stem.replace("_", "-"): file for file in sorted(folder.glob("*.npz"))}
    choose(name, list(names), "reference")
    return _read(names[name])


def _read(path: Path) -> SpectralReference | StokesFlow | PlaneSeries:
    with np.load(path) as file:
        if "poles" in file:
            return StokesFlow.of(file)
        if "flow" in file:
            return PlaneSeries(jnp.asarray(file["flow"], float), float(file["accuracy"]))
        time, waves = (
            jnp.asarray(file[name], _precision(file[name])) for name in ("time", "waves")
        )
        return SpectralReference(time, waves, bool(file["root"]), float(file["accuracy"]))


def _precision(array: np.ndarray) -> Any:
    return jnp.result_type(complex if np.iscomplexobj(array) else float)
