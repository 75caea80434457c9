"""The oldest versions of pandas and PyArrow that work, checked before their newer names are imported.

Does not depend on: pandas, PyArrow.
"""

from __future__ import annotations

import re

OLDEST = {"pandas": (3, 0), "pyarrow": (25, 0)}


def require(library: str, version: str) -> None:
    """Refuse a library that is too old.

    Raises
    ------
    ImportError
        It names both versions.
    """
    oldest = OLDEST[library]
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is not None and (int(numbers[1]), int(numbers[2])) < oldest:
        needed = ".".join(map(str, oldest))
        raise ImportError(
            f"colonnade needs {library} {needed} or newer, found {version}: pip install --upgrade {library}"
        )
