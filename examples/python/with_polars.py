"""Open a stored table as Polars, and put what comes out.

    pip install 'colonnade[polars]'
    python examples/python/with_polars.py

Numbers and times without nulls are not copied, however many processes open them; see read_with_polars.py for a program
that has the file alone.
"""

import numpy as np
import polars as pl

import colonnade as cn

ticks = pl.DataFrame({"pair": ["EURUSD", "USDJPY"] * 500, "bid": np.linspace(1.0, 2.0, 1_000)})
cn.put("examples/ticks", ticks)

snap = cn.open("examples/ticks")  # in any process
frame = snap.to_polars()
highest = frame.group_by("pair").agg(pl.col("bid").max()).sort("pair")
cn.put("examples/highest", highest)
print(cn.open("examples/highest").to_polars())
