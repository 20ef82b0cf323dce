"""Dirichlet values of a deep Ritz network: penalty, Nitsche's method, and its rounds, by beta.

-u'' = 9 sin(3 x) on (0, 1), u = sin(3 x) + x at both ends, network 1-10-1, 40 Gauss points.

    python benchmarks/nitsche.py --betas 20 100 1000
"""

import argparse

import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp

import pinn_ngd
from pinn_ngd import Energy, EnergyObjective, GaussLegendre, Interval, nitsche
from pinn_ngd.models import MLP

DOMAIN = Interval(0.0, 1.0)
INNER, ENDS = GaussLegendre(DOMAIN, 40), GaussLegendre(DOMAIN.boundary(), 1)
ROUNDS = 5


def exact(x):
    return jnp.sin(3 * x[0]) + x[0]


def density(x, features):
    return features[1] ** 2 / 2 - 9 * jnp.sin(3 * x[0]) * features[0]


def trained(term, model, steps):
    objective = EnergyObjective([Energy(density, INNER), term])
    return pinn_ngd.train(objective, model, "engd-tr", steps=steps, key=0, grow=False).model


def error(model):
    return pinn_ngd.relative_l2(model, exact, GaussLegendre(DOMAIN, 80).quadrature())


def penalty(beta):
    def gap(x, features):
        return beta * (features[0] - exact(x)) ** 2 / 2

    return Energy(gap, ENDS, lambda u, x: jnp.atleast_1d(u(x)), name="penalty")


def row(beta, seed, steps):
    start = MLP((1, 10, 1), key=jax.random.key(seed), domain=DOMAIN)
    alone = [trained(term, start, steps) for term in (penalty(beta), nitsche(ENDS, exact, beta))]
    rounds = [start]
    for _ in range(ROUNDS):
        term = nitsche(ENDS, exact, beta, flux_of=rounds[-1])
        rounds.append(trained(term, rounds[-1], steps // ROUNDS))
    return [error(model) for model in (*alone, *rounds[1:])]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--betas", type=float, nargs="+", default=[20.0, 100.0, 1000.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=150)
    options = parser.parse_args()
    names = [f"round {k + 1}" for k in range(ROUNDS)]
    print("| " + " | ".join(["beta", "penalty", "Nitsche", *names]) + " |")
    print("|" + "---:|" * (3 + ROUNDS))
    for beta in options.betas:
        errors = row(beta, options.seed, options.steps)
        print("| " + " | ".join([f"{beta:g}", *(f"{e:.1e}" for e in errors)]) + " |", flush=True)


if __name__ == "__main__":
    main()
