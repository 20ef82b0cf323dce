"""DeepXDE on PyTorch: `l-bfgs`, and `nncg`, which is L-BFGS for half of the time and then NNCG.

Settings are its defaults, but for tolerances of L-BFGS at which it would end before its time. The
weights of points, where they differ, multiply the residuals by their roots.
"""

import os

os.environ["DDE_BACKEND"] = "pytorch"

import deepxde as dde
import numpy as np
import protocol
import torch

PER_CALL = 50  # iterations of L-BFGS between two looks at the clock
MANY = 10**7


def laplacian(x, y, component=0, coordinates=None):
    """The sum of second derivatives of one component."""
    coordinates = range(x.shape[1]) if coordinates is None else coordinates
    return sum(dde.grad.hessian(y, x, component=component, i=i, j=i) for i in coordinates)


def poisson(x, y):
    return [laplacian(x, y)]


def heat(x, y):
    """The first coordinate is time."""
    return [dde.grad.jacobian(y, x, i=0, j=0) - laplacian(x, y, 0, [1]) / 4]


def burgers(x, y):
    """The first coordinate is time."""
    slopes = [dde.grad.jacobian(y, x, i=0, j=j) for j in range(2)]
    return [slopes[0] + y * slopes[1] - 0.01 * laplacian(x, y, 0, [1])]


def kovasznay(x, y):
    """Mass, and both components of momentum."""
    slope = [[dde.grad.jacobian(y, x, i=i, j=j) for j in range(2)] for i in range(3)]
    parts = [slope[0][0] + slope[1][1]]
    for i in range(2):
        convection = y[:, :1] * slope[i][0] + y[:, 1:2] * slope[i][1]
        parts.append(convection + slope[2][i] - laplacian(x, y, i) / 40)
    return parts


EQUATIONS = {
    "poisson-2d-icml23": poisson,
    "poisson-5d-icml23": poisson,
    "heat-1d-icml23": heat,
    "burgers-1d": burgers,
    "kovasznay": kovasznay,
}


def data_of(task):
    """The points and residuals of the task, scaled so that all weights of losses are the same."""
    (points, masses, right), *others = task.terms
    before = sum(len(term[0]) for term in others) * others[0][2].shape[1]
    roots = torch.tensor(np.sqrt(masses * len(points)))[:, None]
    rights = torch.tensor(right)

    def equation(x, y):
        """Conditions come first among the points; their rows are not used."""
        parts = EQUATIONS[task.problem](x, y)
        return [
            torch.cat([part[:before] * 0, roots * (part[before:] - rights[:, i : i + 1])])
            for i, part in enumerate(parts)
        ]

    conditions, place = [], 0
    for where, weights, values in others:
        for i in range(values.shape[1]):
            scale = np.sqrt(weights * len(where))[:, None]
            full = torch.zeros((before + len(points), 1))
            full[place : place + len(where)] = torch.tensor(scale)
            place += len(where)

            def value(_, outputs, __, i=i, full=full):
                return full * outputs[:, i : i + 1]

            condition = dde.icbc.PointSetOperatorBC(where, scale * values[:, i : i + 1], value)
            conditions.append(condition)
    low, high = points.min(axis=0) - 1.0, points.max(axis=0) + 1.0
    return dde.data.PDE(
        dde.geometry.Hypercube(low, high), equation, conditions, num_domain=0, anchors=points
    )


def layers(net):
    return [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in net.linears]


class Clock(dde.callbacks.Callback):
    """Ends a training at a share of the time."""

    def __init__(self, recorder, seconds):
        super().__init__()
        self.recorder, self.seconds, self.seen = recorder, seconds, 0

    def on_train_begin(self):
        self.seen = self.model.train_state.step

    def on_epoch_end(self):
        steps, self.seen = self.model.train_state.step - self.seen, self.model.train_state.step
        net = self.model.net
        if self.recorder.step(lambda: layers(net), steps) or self.recorder.used >= self.seconds:
            self.model.stop_training = True


def main():
    method, task, recorder = protocol.start(["deepxde", "torch"])
    torch.set_num_threads(1)
    dde.config.set_default_float("float64")
    dde.config.set_random_seed(task.seed)
    net = dde.nn.FNN(list(task.sizes), "tanh", "Glorot normal")
    for layer, (weight, bias) in zip(net.linears, task.weights, strict=True):
        layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
    model = dde.Model(data_of(task), net)
    dde.optimizers.set_LBFGS_options(maxiter=MANY, gtol=0.0)
    dde.optimizers.LBFGS_options["iter_per_step"] = PER_CALL
    dde.optimizers.LBFGS_options["fun_per_step"] = PER_CALL * 5 // 4
    model.compile("L-BFGS", verbose=0)
    state = model.train_state
    state.set_data_train(*model.data.train_next_batch())
    _, parts = model.outputs_losses_train(state.X_train, state.y_train, state.train_aux_vars)
    recorder.compiled(float(sum(parts).detach()) / 2, layers(net))
    share = 0.5 if method == "nncg" else 1.0
    clock = Clock(recorder, share * task.seconds)
    model.train(callbacks=[clock], verbose=0, display_every=MANY)
    why = "time" if recorder.used >= share * task.seconds else "L-BFGS ended by itself"
    if method == "nncg":
        model.stop_training = False
        model.compile("NNCG", verbose=0)
        clock.seconds = task.seconds
        why = "time"
        try:
            model.train(iterations=MANY, callbacks=[clock], verbose=0, display_every=MANY)
        except torch.linalg.LinAlgError as error:
            why = f"NNCG raised {str(error).partition(':')[0]}: its factor of a matrix failed"
    recorder.end(layers(net), why)


main()
