"""Read stored tables with Polars' own reader, and print what is in them: one line of JSON for each file.

    pip install polars
    python examples/python/read_with_polars.py "$COLONNADE_STORE/nyc/flights.arrow"
    python examples/python/read_with_polars.py --scan "$COLONNADE_STORE/nyc/flights.arrow"      # as a lazy frame

A program that has Colonnade at hand uses `snapshot.to_polars()`, which copies less.
"""

import json
import sys

import polars as pl
from describe import describe

lazy = "--scan" in sys.argv
for path in sys.argv[2 if lazy else 1 :]:
    frame = pl.scan_ipc(path).collect() if lazy else pl.read_ipc(path)
    columns = [
        describe(s.name, s.dtype, s.null_count(), s.to_physical() if s.dtype.is_temporal() else s) for s in frame
    ]
    print(json.dumps({"rows": frame.height, "columns": columns}))
