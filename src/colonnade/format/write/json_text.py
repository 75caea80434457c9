"""Mappings as JSON: a frame's ``attrs``, and what a user stores with ``meta=``.

Does not depend on: where the text stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from colonnade.errors import UnsupportedTypeError, brief_repr
from colonnade.format.same import same


def encode_json(values: Mapping[Any, Any], what: str, remedy: str) -> str:
    """Write a mapping as JSON; empty for an empty one.

    Raises
    ------
    UnsupportedTypeError
        For a value that would not come back equal.
    """
    for key, value in values.items():
        try:
            is_same = same(json.loads(json.dumps({key: value})), {key: value})
        except (TypeError, ValueError, RecursionError):
            is_same = False
        if not is_same:
            raise UnsupportedTypeError(
                f"{what}[{key!r}] is {brief_repr(value)}, which JSON cannot store exactly; {remedy}"
            )
    return json.dumps(dict(values)) if values else ""
