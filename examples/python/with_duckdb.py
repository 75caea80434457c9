"""Query a stored table with DuckDB, by the name of the variable that holds its snapshot.

    pip install 'colonnade[duckdb]'
    python examples/python/with_duckdb.py

DuckDB reads the columns where they stand in shared memory; a query's result can be put like any table. By the names of
the store instead, whatever variables there are: cn.sql('select ... from "examples/flights"').
"""

import duckdb
import pandas as pd

import colonnade as cn

flights = pd.DataFrame({"carrier": ["UA", "AA", "UA", "B6"], "delay": [2.0, None, 4.0, -1.0]})
cn.put("examples/flights", flights)

snap = cn.open("examples/flights")  # in any process
late = duckdb.sql("select carrier, avg(delay) as delay from snap where delay > 0 group by carrier")
cn.put("examples/late", late)
print(cn.get("examples/late"))
