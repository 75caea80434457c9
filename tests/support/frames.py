"""Frames for tests that care for how many rows there are, and not for what is in them."""

import numpy as np
import pandas as pd


def frame(n=10):
    return pd.DataFrame({"x": np.arange(n), "s": [f"s{i}" for i in range(n)]})
