"""Work for one device, several devices or several processes, and how it is started by a test.

`python several.py FOLDER DEVICES PARTS [PROCESSES RANK PORT]` does the parts on all devices and, in
a single process, on one of them too. What it finds is in FOLDER/all.npz and FOLDER/one.npz.
"""

import math
import os
import random
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

LIMIT = 400.0  # seconds by the clock on the wall, of all processes of one call
ROOT = Path(__file__).parents[1]


def start(script, folder, *arguments, devices=1, processes=1):
    """So many processes of a script, with so many devices each; what they print is in files."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(exist_ok=True)
    flags = f"--xla_force_host_platform_device_count={devices}"
    several = [() if processes == 1 else (processes, rank, port) for rank in range(processes)]
    commands = [[script, folder, *arguments, *words] for words in several]
    return [_started(folder, rank, command, flags) for rank, command in enumerate(commands)]


def start_step(folder, words, processes):
    """So many processes of the command line, as SLURM would start them."""
    job = {"SLURM_JOB_ID": str(random.randrange(10**6)), "SLURM_STEP_NODELIST": "127.0.0.1"}
    job |= {"SLURM_NTASKS": str(processes), "SLURM_LOCALID": "0"}
    command = ["-m", "pinn_ngd", *words]
    return [
        _started(folder, rank, command, "", **job, SLURM_PROCID=str(rank))
        for rank in range(processes)
    ]


def _started(folder, rank, command, flags, **variables):
    environment = {
        **os.environ, **variables, "JAX_PLATFORMS": "cpu", "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT), "XLA_FLAGS": f"{flags} {os.environ['XLA_FLAGS']}",
    }  # fmt: skip
    with open(folder / f"log-{rank}.txt", "w") as log:
        line = [sys.executable, *map(str, command)]
        return subprocess.Popen(line, stdout=log, stderr=log, env=environment)


def finish(started, limit=LIMIT):
    """The exit codes; whoever lasts longer than the limit is killed, which is a code below zero."""
    end = time.monotonic() + limit
    try:
        for process in started:
            process.wait(timeout=max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        pass
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.wait()
    return [process.returncode for process in started]


def logs(folder):
    return "\n".join(f"{log.name}:\n{log.read_text()}" for log in sorted(folder.glob("log-*")))


def found(folder, *parts, devices=1, processes=1):
    """What this script finds in a setting: on all devices, and on one."""
    script, named = Path(__file__), ",".join(parts)
    started = start(script, folder, devices, named, devices=devices, processes=processes)
    codes = finish(started)
    assert not any(codes), f"{codes}\n{logs(folder)}"
    return [dict(np.load(file)) for file in sorted(folder.glob("*.npz"))]


def join(words):
    """Become one of several processes, if the words say so."""
    import jax

    jax.config.update("jax_enable_x64", True)
    if words:
        processes, rank, port = (int(word) for word in words)
        jax.distributed.initialize(
            f"127.0.0.1:{port}", processes, rank,
            initialization_timeout=60, heartbeat_timeout_seconds=100, shutdown_timeout_seconds=20,
        )  # fmt: skip


def main():
    folder, devices, parts = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
    join(sys.argv[4:])
    import jax

    assert jax.local_device_count() == devices
    places = {"all": jax.device_count()}
    places |= {"one": 1} if jax.process_count() == 1 else {}
    for name, count in places.items():
        numbers = {key: x for part in parts for key, x in PARTS[part](count).items()}
        if jax.process_index() == 0:
            np.savez(folder / f"{name}.npz", **numbers)


def conditioned(n, p, least, seed=0):
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.normal(size=(size, p)))[0] for size in (n, p))
    return (left * np.logspace(0, np.log10(least), p)) @ right.T


def factors(count):
    """R, Q R and the Gram matrix of 61 rows, which no number of devices divides, condition 1e12."""
    import jax

    from pinn_ngd.linalg.tall import WHOLE, spread, thin_qr, triangle
    from pinn_ngd.training.devices import mesh_of

    def all_of(a):
        basis, upper = thin_qr(a)
        return triangle(a), basis, upper, spread(a).T @ spread(a)

    mesh, matrix = mesh_of(count), conditioned(61, 12, 1e-12)
    if mesh is None:
        parts = jax.jit(all_of)(matrix)
    else:
        everywhere = jax.sharding.NamedSharding(mesh, WHOLE)
        with jax.set_mesh(mesh):
            parts = jax.jit(all_of, out_shardings=everywhere)(matrix)
    names = ("triangle", "basis", "upper", "gram")
    return {n: np.asarray(x.addressable_data(0)) for n, x in zip(names, parts, strict=True)}


def objective(rule=None):
    import jax.numpy as jnp

    import pinn_ngd as pn

    def residual(u, x):
        forcing = 2 * jnp.pi**2 * jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1])
        return pn.laplacian(u)(x) + forcing

    square = pn.Box((0.0, 0.0), (1.0, 1.0))
    edges = pn.Residual(lambda u, x: u(x), pn.GaussLegendre(square.boundary(), 3))
    rule = {7: pn.GaussLegendre(square, 7), None: pn.MonteCarlo(square, 49)}.get(rule, rule)
    rule = pn.GaussLegendre(square, rule) if isinstance(rule, int) else rule
    return pn.ResidualObjective([pn.Residual(residual, rule), edges], chunk_size=8)


def network(seed=1, width=4):
    import jax

    from pinn_ngd.models import MLP

    return MLP((2, width, 1), key=jax.random.key(seed))


def trained(count):
    """The losses of a run by `train`, tall and by QR, and what points it was made on."""
    import pinn_ngd as pn

    # One unit of rounding in the parameters becomes 2e-12 in six steps, and 6e-9 in the seventh.
    result = pn.train(objective(7), network(), "engd-tr", steps=6, key=0, grow=False, mesh=count)
    return {"trained": np.array([line["loss"] for line in result.history])}


def by_products(count):
    """The losses of Newton's method and of Hessian-free steps."""
    import pinn_ngd as pn

    def losses(name):
        result = pn.train(objective(7), network(), name, steps=6, key=0, grow=False, mesh=count)
        return np.array([line["loss"] for line in result.history])

    return {name: losses(name) for name in ("nncg", "hessian-free")}


def grown(count):
    """The points of a run that begins with too few of them, and its losses."""
    import pinn_ngd as pn

    result = pn.train(objective(2), network(), "engd-tr", steps=12, key=0, mesh=count)
    names = {"points": "points", "grown": "loss"}
    return {k: np.array([line[name] for line in result.history]) for k, name in names.items()}


def stepped(count):
    """Losses of steps: tall, wide by a Gram matrix and by QR, by products alone, by gradients."""
    import jax

    from pinn_ngd.linalg import get_solver
    from pinn_ngd.optimizers import TrustRegion, get
    from pinn_ngd.optimizers.deterministic.acceleration import Plain
    from pinn_ngd.training.advance import Carry, as_arrays
    from pinn_ngd.training.devices import compiled_on, mesh_of
    from pinn_ngd.training.processes import Processes

    def losses(given, optimizer, stride, width=4):
        start, batch = as_arrays(network(width=width)), as_arrays(given.batch(jax.random.key(2)))
        carry = Carry(start, start, as_arrays(optimizer.init(start, given, batch)))
        count_ = np.asarray(stride, np.int32)
        args = optimizer, given, carry, batch, jax.random.key(1), np.int32(0), count_
        after, _, infos = compiled_on(Processes(mesh_of(count)), stride, *args)(*args)
        assert jax.tree.leaves(after.model)[0].is_fully_addressable
        return np.asarray(infos.loss)

    products = TrustRegion(solver=get_solver("lsmr"), form="matrix-free", acceleration=Plain())
    by_qr = get("engd-tr", solver="spectral-qr", acceleration="none")
    return {
        "random": losses(objective(), get("engd-tr", acceleration="geodesic"), 3),
        "wide": losses(objective(3), get("engd-w", damping=1e-6), 5, width=8),
        "wide-qr": losses(objective(3), by_qr, 5, width=8),
        "products": losses(objective(7), products, 3),
        "gradient": losses(objective(7), get("adam"), 50),
    }


KINDS = "all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
COLLECTIVE = re.compile(rf"= \(?(.+?)\)? ({KINDS})(?:-start)?\(")


def moved(compiled):
    """The numbers that come out of each collective operation of a compiled program, by its kind."""
    found = {}
    for line in compiled.as_text().splitlines():
        if match := COLLECTIVE.search(line):
            shapes = re.findall(r"[a-z]+\d+\[([\d,]*)\]", match[1])
            sizes = [math.prod(int(n) for n in shape.split(",") if n) for shape in shapes]
            found.setdefault(match[2], []).append(sum(sizes))
    return found


def collectives(count):
    """What a factorization, a Gram matrix of each side and a whole step of `engd-tr` exchange."""
    if count == 1:
        return {}
    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding

    from pinn_ngd.linalg.tall import LYING, spread, triangle
    from pinn_ngd.optimizers import get
    from pinn_ngd.training import devices
    from pinn_ngd.training.advance import Carry, as_arrays

    mesh = devices.mesh_of(count)

    def of(fn, *shape):
        given = jax.ShapeDtypeStruct(shape, jnp.float64, sharding=NamedSharding(mesh, LYING))
        with jax.set_mesh(mesh):
            return moved(jax.jit(fn).lower(given).compile())

    def of_step(given, optimizer, model):
        start, batch = as_arrays(model), as_arrays(given.batch())
        carry = Carry(start, start, as_arrays(optimizer.init(start, given, batch)))
        args = optimizer, given, carry, batch, jax.random.key(1), np.int32(0), np.int32(1)
        lowered = devices.lowered_on(mesh, 1, *devices.Places(mesh)(*args))
        return moved(lowered.compile().compiled)

    found = {
        "triangle": of(triangle, 60, 12),
        "gram": of(lambda a: spread(a).T @ spread(a), 60, 12),
        "dual": of(lambda a: spread(a.T).T @ spread(a.T), 12, 60),
        "wide": of_step(
            objective(3), get("spring", solver="spectral-gram", damping=1e-6), network(width=16)
        ),
        "step": of_step(objective(20), get("engd-tr"), network()),
    }
    return {
        f"{name} {kind}": np.array(sizes)
        for name, kinds in found.items()
        for kind, sizes in kinds.items()
    }


def examples(fisher="empirical"):
    """A network with a norm, examples of three classes, and SP-NGD with statistics of all ages."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import pinn_ngd as pn
    from pinn_ngd.optimizers import get

    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    data = pn.Shuffled(rng.normal(size=(48, 2)) + 2 * np.eye(3)[labels][:, :2], labels, 16)
    keys = jax.random.split(jax.random.key(0), 2)
    layers = [
        eqx.nn.Linear(2, 6, key=keys[0]), eqx.nn.LayerNorm(6), eqx.nn.Lambda(jnp.tanh),
        eqx.nn.Linear(6, 3, key=keys[1]),
    ]  # fmt: skip
    optimizer = get(
        "sp-ngd", accumulation="parameters", alpha=0.3, microbatches=2, mixup=0.4, fisher=fisher
    )
    return pn.ClassificationObjective(data), eqx.nn.Sequential(layers), optimizer


def natural(count):
    """Losses and parameters of a run of SP-NGD, whose devices decompose a layer each."""
    import equinox as eqx
    import jax

    import pinn_ngd as pn

    given, model, optimizer = examples()
    result = pn.train(given, model, optimizer, steps=8, key=0, mesh=count)
    leaves = jax.tree.leaves(eqx.filter(result.model, eqx.is_inexact_array))
    return {
        "natural": np.array([line["loss"] for line in result.history]),
        "parameters": np.concatenate([np.ravel(x) for x in leaves]),
    }


NATURAL = ("ngd", "ngd-woodbury", "ngd-cg", "kfac", "ekfac", "seng", "tngd", "sgd")


def classified(count):
    """Parameters after some steps of every natural gradient of a batch, parts of it on devices."""
    import equinox as eqx
    import jax

    import pinn_ngd as pn

    def parameters(name):
        given, model, _ = examples()
        result = pn.train(given, model, name, steps=5, key=0, mesh=count)
        leaves = jax.tree.leaves(eqx.filter(result.model, eqx.is_inexact_array))
        return np.concatenate([np.ravel(x) for x in leaves])

    return {name: parameters(name) for name in NATURAL}


def work(count):
    """Operations of a device in a step on 512 examples."""
    import equinox as eqx
    import jax

    import pinn_ngd as pn
    from pinn_ngd.optimizers import get
    from pinn_ngd.training import advance, devices
    from pinn_ngd.training.advance import Carry, as_arrays

    rng = np.random.default_rng(0)
    data = pn.Shuffled(rng.normal(size=(512, 8)), np.arange(512) % 2, 512)
    given = pn.ClassificationObjective(data)
    keys = jax.random.split(jax.random.key(0), 2)
    layers = [
        eqx.nn.Linear(8, 64, key=keys[0]), eqx.nn.Lambda(jax.numpy.tanh),
        eqx.nn.Linear(64, 2, key=keys[1]),
    ]  # fmt: skip

    def operations(name):
        optimizer, start = get(name), as_arrays(eqx.nn.Sequential(layers))
        batch = as_arrays(given.batch(jax.random.key(0)))
        carry = Carry(start, start, as_arrays(optimizer.init(start, given, batch)))
        args = optimizer, given, carry, batch, jax.random.key(1), np.int32(0), np.int32(1)
        mesh = devices.mesh_of(count)
        if mesh is None:
            lowered = advance._jitted().lower(1, *args)
        else:
            lowered = devices.lowered_on(mesh, 1, *devices.Places(mesh)(*args))
        return lowered.compile().compiled.cost_analysis()["flops"]

    return {name: operations(name) for name in ("ngd-cg", "kfac", "sgd", "ngd-woodbury")}


def shots(count):
    """Losses of an inversion, waves and gradient at its start; every device fires some shots."""
    import jax

    import pinn_ngd as pn
    from pinn_ngd.linalg.tall import WHOLE
    from pinn_ngd.training.devices import mesh_of

    problem = pn.load_problem("fwi-camembert", cells=13, shots=3, duration=0.8, absorbing=4)
    model = problem.model(jax.random.key(0))
    optimizer = pn.optimizers.get("wngd", **problem.optimizer_settings)
    result = pn.train(problem.objective, model, optimizer, steps=3, key=0, mesh=count)
    found = {"loss": np.array([line["loss"] for line in result.history])}

    def loss(values):
        return problem.objective.loss(type(model)(values, model.spacing), ())

    def both(values):
        return problem.objective.state(type(model)(values, model.spacing)), jax.grad(loss)(values)

    if (mesh := mesh_of(count)) is None:
        waves, gradient = jax.jit(both)(model.values)
    else:
        everywhere = jax.sharding.NamedSharding(mesh, WHOLE)
        with jax.set_mesh(mesh):
            waves, gradient = jax.jit(both, out_shardings=everywhere)(model.values)
    return found | {"waves": np.asarray(waves), "gradient": np.asarray(gradient)}


def natural_collectives(count):
    """What a step of SP-NGD exchanges."""
    if count == 1:
        return {}
    import jax

    from pinn_ngd.training import devices
    from pinn_ngd.training.advance import Carry, as_arrays

    given, model, optimizer = examples()
    optimizer = eqx_without_mixup(optimizer)
    start, batch = as_arrays(model), as_arrays(given.batch(jax.random.key(0)))
    carry = Carry(start, start, as_arrays(optimizer.init(start, given, batch)))
    mesh = devices.mesh_of(count)
    args = optimizer, given, carry, batch, jax.random.key(1), np.int32(0), np.int32(1)
    lowered = devices.lowered_on(mesh, 1, *devices.Places(mesh)(*args))
    kinds = moved(lowered.compile().compiled)
    return {f"natural {kind}": np.array(sizes) for kind, sizes in kinds.items()}


def eqx_without_mixup(optimizer):
    """The mixture of a batch is kept whole, which is an exchange of its own."""
    import dataclasses

    return dataclasses.replace(optimizer, mixup=0.0)


PARTS = {
    "by-products": by_products,
    "classified": classified,
    "collectives": collectives,
    "factors": factors,
    "grown": grown,
    "natural": natural,
    "natural-collectives": natural_collectives,
    "shots": shots,
    "stepped": stepped,
    "trained": trained,
    "work": work,
}

if __name__ == "__main__":
    main()
