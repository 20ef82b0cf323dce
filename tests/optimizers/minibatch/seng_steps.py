"""Steps of SENG by its authors' class, for tests/optimizers/minibatch/test_seng_authors.py:
`... START.npz OUT.npz CHECKOUT`.

Runs in an environment of its own, with PyTorch and SciPy and without this package. Their program is
read from the checkout, and nothing of it is here.
"""

import sys
from pathlib import Path

import numpy as np
import torch

WHOLE = 10**9  # parameters up to which rows are formed


def network(layers, start):
    """A convolution and two dense layers with tanh between them."""
    channels, _, kernel, _ = start["weight0"].shape
    parts = [
        layers.Conv2dEx(1, channels, kernel, int(start["stride"])), torch.nn.Tanh(),
        torch.nn.Flatten(), layers.LinearEx(*start["weight1"].shape[::-1]), torch.nn.Tanh(),
        layers.LinearEx(*start["weight2"].shape[::-1]),
    ]  # fmt: skip
    net = torch.nn.Sequential(*parts).double()
    with torch.no_grad():
        for i, place in enumerate((0, 3, 5)):
            net[place].weight.copy_(torch.tensor(start[f"weight{i}"]))
            net[place].bias.copy_(torch.tensor(start[f"bias{i}"]))
    return net


def steps(start, seng, layers, *, every, side, threshold):
    """The parameters after every step, and what was drawn at each renewal (always the same)."""
    net, drawn = network(layers, start), []
    sgd = torch.optim.SGD(
        net.parameters(), lr=float(start["rate"]), momentum=float(start["momentum"])
    )
    preconditioner = seng.SENG(
        net, float(start["damping"]), update_freq=every, im_size_threshold=threshold,
        col_sample_size=side,
    )  # fmt: skip
    choice, found = np.random.choice, []

    def noted(*arguments, **settings):
        drawn.append(choice(*arguments, **settings))
        return drawn[-1]

    for x, y in zip(start["inputs"], start["targets"], strict=True):
        sgd.zero_grad()
        torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(y)).backward()
        np.random.seed(0)  # theirs draws from the global state
        drawn.clear()
        np.random.choice = noted
        preconditioner.step()
        np.random.choice = choice
        sgd.step()
        found.append(np.concatenate([p.detach().numpy().ravel() for p in net.parameters()]))
    return np.stack(found), drawn


CASES = {
    "whole": {"every": 2, "side": None, "threshold": WHOLE},
    "uniform": {"every": 1, "side": 10, "threshold": WHOLE},
    "means": {"every": 2, "side": None, "threshold": 100},
    "grid": {"every": 1, "side": 10, "threshold": 100},
}

if __name__ == "__main__":
    given, checkout = dict(np.load(sys.argv[1])), Path(sys.argv[3]) / "Pytorch" / "cifar10"
    sys.path[:0] = [str(checkout), str(checkout / "models")]
    import layers_ex
    import seng

    results = {}
    for name, settings in CASES.items():
        results[name], chosen = steps(given, seng, layers_ex, **settings)
        results |= {f"{name}-drawn-{i}": indices for i, indices in enumerate(chosen)}
    np.savez(sys.argv[2], **results)
