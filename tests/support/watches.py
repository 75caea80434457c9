"""What the tests of `watch` share: the name that is watched, and what comes of it."""

import pandas as pd
import pytest

import colonnade as cn

NAME = "a/b/t"
PATIENCE = 20  # seconds, within which what happens in a moment has happened


def frame(n):
    return pd.DataFrame({"n": [n]})


def content(snapshot):
    with snapshot:
        return int(snapshot.to_pandas()["n"][0])


def nothing_more(store, watch):
    """Whether the watch would go on waiting. A second watch with the same state and no patience shows it."""
    impatient, watch._timeout = watch._timeout, 0.02
    with pytest.raises(cn.WaitTimeoutError):
        next(watch)
    watch._timeout = impatient
    return True
