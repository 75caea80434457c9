"""The command line as a process of its own, and what it says of a snapshot in JSON."""

import os
import sys

COMMAND = (sys.executable, "-m", "colonnade")


def environment(store, **variables):
    return os.environ | {"COLONNADE_STORE": str(store.path)} | variables


def facts(snapshot):
    return {
        "name": snapshot.name,
        "version": snapshot.version,
        "rows": snapshot.num_rows,
        "columns": snapshot.num_columns,
        "nbytes": snapshot.nbytes,
        "created": snapshot.created.isoformat(),
        "meta": snapshot.meta,
        "live": False,
        "path": str(snapshot.path),
    }
