"""Fit models of scikit-learn in several processes, on one frame that they share.

    pip install scikit-learn
    python examples/python/with_scikit_learn.py

What goes to a worker is a reference of some hundred bytes; the worker's arrays are views of the same memory. Whether an
estimator makes a copy to work on is its own affair: `copy_X`, for example.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

import colonnade as cn


def score(snap: cn.Snapshot, alpha: float) -> float:
    """Fit on the first half of the rows, and report how well that predicts the second half."""
    frame = snap.to_pandas(writable=False)
    half = len(frame) // 2
    features, target = frame.drop(columns="y"), frame["y"]
    model = Ridge(alpha=alpha).fit(features[:half], target[:half])
    return float(model.score(features[half:], target[half:]))


if __name__ == "__main__":
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.standard_normal((20_000, 8))).rename(columns="x{}".format)
    frame["y"] = frame.sum(axis=1) + rng.standard_normal(20_000) / 10
    snap = cn.put("examples/training", frame)
    alphas = [0.1, 10.0, 1e5]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for alpha, found in zip(alphas, pool.map(score, [snap] * 3, alphas), strict=True):
            print(f"alpha {alpha:g}: R2 {found:.3f}")
