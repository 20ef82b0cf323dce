"""Training and test curves of four optimizers on 5,000 handwritten digits of MNIST."""

from figures.recipes import learning

make = learning("classify-mnist-5k", ("tngd", "ngd-woodbury", "sgd", "adam:rate=0.003"), seeds=5)
