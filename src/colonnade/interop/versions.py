"""The oldest versions of pandas and PyArrow that work, checked before their newer names are imported.

Does not depend on: pandas, PyArrow.
"""

from __future__ import annotations

OLDEST = {"pandas": (3, 0), "pyarrow": (25, 0)}


def require(library: str, version: str) -> None:
    """Refuse a library that is too old.

    Raises
    ------
    ImportError
        It names both versions.
    """
    oldest = OLDEST[library]
    numbers = version.split(".")[:2]
    if all(map(str.isdecimal, numbers)) and tuple(map(int, numbers)) < oldest[: len(numbers)]:
        version_text = ".".join(map(str, oldest))
        raise ImportError(
            f"colonnade needs {library} {version_text} or newer, found {version}: pip install --upgrade {library}"
        )
