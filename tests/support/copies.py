"""Files that a fetch leaves in a store."""

import os

from colonnade.storage import paths


def copies(store):
    folder = store.path / paths.SEGMENTS
    return [name for name in os.listdir(folder) if name.startswith("copy-")] if folder.exists() else []


def leftovers(store):
    """Files of the store that are neither tables nor copies."""
    folder = store.path / paths.SEGMENTS
    names = os.listdir(folder) if folder.exists() else []
    return [name for name in names if not name.startswith(("copy-", "spare-"))]
