"""The examples of other tools run, show what they say, and look at shared memory where they say so."""

import numpy as np
import pandas as pd
import pytest

from support.examples import EXAMPLES, LOOK, run

SHOWN = {
    "with_duckdb.py": "carrier  delay\n0      UA    3.0\n",
    "with_polars.py": "│ USDJPY ┆ 2.0      │\n",
    "with_numpy.py": "(250000, 4) [124999.5 125000.5 125001.5 125002.5]\n-1.0 0.0\n",
    "with_scikit_learn.py": "alpha 0.1: R2 0.999\nalpha 10: R2 0.999\nalpha 100000: R2 0.170\n",
}
# What an example has that is a view of the store's memory, as an array.
VIEWS = {
    "with_polars.py": "names['frame']['bid'].to_numpy(allow_copy=False)",
    "with_numpy.py": "names['matrix']",
    "with_scikit_learn.py": "names['cn'].open('examples/training').to_pandas(writable=False).drop(columns='y').to_numpy()",
}


SUM = """
import re, sys, duckdb, colonnade as cn
from pathlib import Path
def own():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10
snap = cn.Store(sys.argv[1]).open("t")
duckdb.sql("select 1").fetchall()
before = own()
print(duckdb.sql("select sum(x) from snap").fetchall(), own() - before)
"""


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_shows_what_it_says_and_shares_memory(name, folder):
    view = VIEWS.get(name)
    output = (
        run("-c", LOOK, EXAMPLES / name, folder, view, folder=folder) if view else run(EXAMPLES / name, folder=folder)
    )
    assert SHOWN[name] in output
    assert view is None or output.endswith("shared: True\n")


def test_duckdb_has_no_copy_of_what_it_reads(store, folder):
    """A table of 96 MiB is added up in a process that has by far less memory of its own."""
    store.put("t", pd.DataFrame({"x": np.ones(12 << 20)})).close()
    output, growth = run("-c", SUM, store.path, folder=folder).rsplit(maxsplit=1)
    assert output == f"[({float(12 << 20)},)]"
    assert int(growth) < 48
