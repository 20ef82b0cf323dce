# %% [markdown]
# # A first PDE, from the equation to the error
#
# A membrane that is held at its edges and pressed upon evenly: -Laplace u = 1 in the unit square,
# u = 0 on its boundary. `docs/guide/first-pde.md` explains every line. Jupyter opens this file as a
# notebook with Jupytext (`pip install jupytext`), and Visual Studio Code as it is.

# %%
import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)

import pinn_ngd
from pinn_ngd import Box, GaussLegendre, Residual, ResidualObjective, laplacian
from pinn_ngd.experiments.plotting import plot_solution
from pinn_ngd.geometry import smooth_distance
from pinn_ngd.models import MLP, HardDirichlet

# %% [markdown]
# ## Where, which functions, and what is zero
#
# The boundary is built into the model: the network is multiplied by a function that vanishes there.

# %%
square = Box((0.0, 0.0), (1.0, 1.0))
net = MLP((2, 10, 1), key=jax.random.key(0), domain=square)
model = HardDirichlet(net, lift=0.0, distance=smooth_distance(square))
equation = Residual(lambda u, x: laplacian(u)(x) + 1.0, GaussLegendre(square, 10))

# %% [markdown]
# ## Training
#
# Each step is a linear least-squares problem. Change `steps`, the width of the network or the
# number of points, and run the cell again.

# %%
result = pinn_ngd.train(ResidualObjective([equation]), model, "engd-tr", steps=60, key=0)
print(result.message)

# %% [markdown]
# ## How wrong is it?
#
# The height in the middle is known from a series: 0.0736713.

# %%
middle = float(result.solution(jnp.array([0.5, 0.5])))
print(f"height {middle:.7f}, error {abs(middle - 0.0736713):.1e}")
if result.held_out is not None:
    print("loss at the points", result.loss, "and between them", result.held_out.loss)

# %%
error = None if result.estimate is None else result.estimate.error
figure = plot_solution(result.model, None, square, estimated_error=error)
figure  # noqa: B018 (a notebook shows it)
