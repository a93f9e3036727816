"""Logistic regression on the numbers of a chart: the plain rival of the network."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.errors import MarginwatchError

#: Weight of the squared coefficients against the mean loss: it only keeps the equations solvable.
_RIDGE = 1e-4
_STEPS = 25
_ENOUGH = 1e-8


class NoFitError(MarginwatchError):
    """The regression has too few cases, or cases of one kind alone."""


def fit(x: Floats, y: Floats) -> Floats:
    """Return the coefficients (k + 1,), the intercept first, by Newton's method.

    Parameters
    ----------
    x : (n, k) numbers of about the same scale.
    y : (n,) 0 or 1.

    Raises
    ------
    NoFitError : if all cases are of one kind.
    """
    if not len(y) or y.min() == y.max():
        raise NoFitError(f"a logistic regression needs cases of both kinds, {len(y)} cases of one kind are given")
    design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    weights = np.zeros(design.shape[1])
    ridge = np.full(design.shape[1], _RIDGE)
    ridge[0] = 0.0
    for _ in range(_STEPS):
        chance = probability(x, weights)
        slope = design.T @ (chance - y) / len(y) + ridge * weights
        curve = (design * (chance * (1 - chance))[:, None]).T @ design / len(y) + np.diag(ridge)
        step = np.linalg.solve(curve, slope)
        weights = weights - step
        if float(np.abs(step).max()) < _ENOUGH:
            break
    return np.asarray(weights)


def probability(x: Floats, weights: Floats) -> Floats:
    """Return the chance of 1 of every case (n,)."""
    return np.asarray(1 / (1 + np.exp(-(weights[0] + x @ weights[1:]))))
