"""Distinct numbers of an array.

Does not depend on: where they come from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def distinct(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The distinct ones of integers that are not negative, in order.

    ``np.unique`` is not used: NumPy 2.3 to 2.5 end the process (std::terminate) where Python ends while a daemon thread
    is in it.
    """
    in_order: npt.NDArray[Any] = np.sort(numbers)
    result: npt.NDArray[Any] = in_order[np.diff(in_order, prepend=-1) != 0]
    return result
