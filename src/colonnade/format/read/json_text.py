"""Mappings that a file holds as JSON: a frame's ``attrs``, and what a user stores with ``meta=``.

Does not depend on: where the text stands.
"""

from __future__ import annotations

import json
from typing import Any

from colonnade.format import schema


def decode_json(text: str, what: str) -> dict[str, Any]:
    """Read such a mapping; an empty text is an empty one.

    Raises
    ------
    CorruptSnapshotError
    """
    try:
        values: Any = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise schema.invalid(f"{what} cannot be read ({error})") from error
    if type(values) is not dict:
        raise schema.invalid(f"{what} are a {type(values).__name__}")
    return values
