"""BibTeX of what the optimizers are built on."""

# ruff: noqa: E501  (titles stay on one line)

ENTRIES = {
    "engd": """@inproceedings{mueller2023engd,
  title     = {Achieving High Accuracy with {PINN}s via Energy Natural Gradient Descent},
  author    = {M{\\"u}ller, Johannes and Zeinhofer, Marius},
  booktitle = {Proceedings of the 40th International Conference on Machine Learning},
  year      = {2023},
  note      = {arXiv:2302.13163}
}""",
    "state": """@article{nurbekyan2023ngd,
  title   = {Efficient Natural Gradient Descent Methods for Large-Scale {PDE}-Based Optimization Problems},
  author  = {Nurbekyan, Levon and Lei, Wanzhou and Yang, Yunan},
  journal = {SIAM Journal on Scientific Computing},
  volume  = {45},
  number  = {4},
  pages   = {A1621--A1655},
  year    = {2023},
  note    = {arXiv:2202.06236}
}""",
    "spring": """@inproceedings{guzmancordero2025engdw,
  title     = {Improving Energy Natural Gradient Descent through {W}oodbury, Momentum, and Randomization},
  author    = {Guzm{\\'a}n-Cordero, Andr{\\'e}s and Dangel, Felix and Goldshlager, Gil and Zeinhofer, Marius},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2025},
  note      = {arXiv:2505.12149}
}""",
    "radius": """@misc{webb2026dsgnar,
  title  = {An Optimisation Framework for the Well-Conditioned Training of Physics-Informed Neural Networks},
  author = {Webb and Jerad and Cartis},
  year   = {2026},
  note   = {arXiv:2607.02194}
}""",
    "geodesic": """@misc{transtrum2012geodesic,
  title  = {Improvements to the {L}evenberg--{M}arquardt algorithm for nonlinear least-squares minimization},
  author = {Transtrum, Mark K. and Sethna, James P.},
  year   = {2012},
  note   = {arXiv:1201.5885}
}""",
    "adam": """@inproceedings{kingma2015adam,
  title     = {Adam: A Method for Stochastic Optimization},
  author    = {Kingma, Diederik P. and Ba, Jimmy},
  booktitle = {International Conference on Learning Representations},
  year      = {2015}
}""",
    "lbfgs": """@article{liu1989lbfgs,
  title   = {On the Limited Memory {BFGS} Method for Large Scale Optimization},
  author  = {Liu, Dong C. and Nocedal, Jorge},
  journal = {Mathematical Programming},
  volume  = {45},
  pages   = {503--528},
  year    = {1989}
}""",
    "numerical": """@book{nocedal2006numerical,
  title     = {Numerical Optimization},
  author    = {Nocedal, Jorge and Wright, Stephen J.},
  publisher = {Springer},
  edition   = {2},
  year      = {2006}
}""",
    "selfscaled": """@article{albaali2005wide,
  title   = {Wide Interval for Efficient Self-Scaling Quasi-{N}ewton Algorithms},
  author  = {Al-Baali, Mehiddin and Khalfan, Humaid},
  journal = {Optimization Methods and Software},
  volume  = {20},
  number  = {6},
  pages   = {679--691},
  year    = {2005}
}""",
    "urban": """@article{urban2025unveiling,
  title   = {Unveiling the Optimization Process of Physics Informed Neural Networks: How Accurate and Competitive Can {PINN}s Be?},
  author  = {Urb{\\'a}n, Jorge F. and Stefanou, Petros and Pons, Jos{\\'e} A.},
  journal = {Journal of Computational Physics},
  volume  = {523},
  pages   = {113656},
  year    = {2025}
}""",
    "muon": """@misc{jordan2024muon,
  title  = {Muon: An Optimizer for Hidden Layers in Neural Networks},
  author = {Jordan, Keller and Jin, Yuchen and Boza, Vlado and You, Jiacheng and Cesista, Franz and Newhouse, Laker and Bernstein, Jeremy},
  year   = {2024}
}""",
    "minpack": """@incollection{more1978lm,
  title     = {The {L}evenberg--{M}arquardt Algorithm: Implementation and Theory},
  author    = {Mor{\\'e}, Jorge J.},
  booktitle = {Numerical Analysis},
  publisher = {Springer},
  pages     = {105--116},
  year      = {1978}
}""",
    "thermodynamic": """@misc{donatella2024tngd,
  title  = {Thermodynamic Natural Gradient Descent},
  author = {Donatella, Kaelan and Duffield, Samuel and Aifer, Maxwell and Melanson, Denis and Crooks, Gavin and Coles, Patrick J.},
  year   = {2024},
  note   = {arXiv:2405.13817}
}""",
    "natural": """@article{martens2020natural,
  title   = {New Insights and Perspectives on the Natural Gradient Method},
  author  = {Martens, James},
  journal = {Journal of Machine Learning Research},
  volume  = {21},
  number  = {146},
  pages   = {1--76},
  year    = {2020}
}""",
    "kfac": """@inproceedings{martens2015kfac,
  title     = {Optimizing Neural Networks with {K}ronecker-factored Approximate Curvature},
  author    = {Martens, James and Grosse, Roger},
  booktitle = {Proceedings of the 32nd International Conference on Machine Learning},
  year      = {2015},
  note      = {arXiv:1503.05671}
}""",
    "kfc": """@inproceedings{grosse2016kfc,
  title     = {A {K}ronecker-factored Approximate {F}isher Matrix for Convolution Layers},
  author    = {Grosse, Roger and Martens, James},
  booktitle = {Proceedings of the 33rd International Conference on Machine Learning},
  year      = {2016},
  note      = {arXiv:1602.01407}
}""",
    "ekfac": """@inproceedings{george2018ekfac,
  title     = {Fast Approximate Natural Gradient Descent in a {K}ronecker-factored Eigenbasis},
  author    = {George, Thomas and Laurent, C{\\'e}sar and Bouthillier, Xavier and Ballas, Nicolas and Vincent, Pascal},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2018},
  note      = {arXiv:1806.03884}
}""",
    "momentum": """@article{polyak1964some,
  title   = {Some methods of speeding up the convergence of iteration methods},
  author  = {Polyak, Boris T.},
  journal = {USSR Computational Mathematics and Mathematical Physics},
  volume  = {4},
  number  = {5},
  pages   = {1--17},
  year    = {1964}
}""",
    "sign": """@inproceedings{bernstein2018signsgd,
  title     = {sign{SGD}: Compressed Optimisation for Non-Convex Problems},
  author    = {Bernstein, Jeremy and Wang, Yu-Xiang and Azizzadenesheli, Kamyar and Anandkumar, Animashree},
  booktitle = {Proceedings of the 35th International Conference on Machine Learning},
  year      = {2018}
}""",
    "lineax": """@article{lineax2023,
  title   = {Lineax: unified linear solves and linear least-squares in {JAX} and {E}quinox},
  author  = {Rader, Jason and Lyons, Terry and Kidger, Patrick},
  journal = {AI for Science workshop at Neural Information Processing Systems},
  year    = {2023},
  note    = {arXiv:2311.17283}
}""",
}


def cited(*keys: str) -> tuple[str, ...]:
    """The entries of those keys."""
    return tuple(ENTRIES[key] for key in keys)
