"""A Dash dashboard over a shared table: ``python examples/dashboards/dash_app.py``, or several workers behind gunicorn.

    gunicorn --workers 8 --threads 4 dash_app:server    # from this folder; the machine holds the table once

Run the file once before: it puts the table.
Threads, because a browser keeps connections open, and a worker without threads waits for each of them.

Each callback gets the columns that it needs. That copies nothing, so nothing is kept in a ``dcc.Store`` or in a global
variable.
"""

import sys

import numpy as np
import pandas as pd
from dash import Dash, Input, Output, dcc, html

import colonnade as cn

NAME = "taxi/trips"
app = Dash(__name__)
server = app.server
app.layout = html.Div(
    [
        html.H1("Taxi trips"),
        dcc.Dropdown(["airport", "centre", "harbour"], "airport", id="zone", clearable=False),
        html.P(id="summary"),
        dcc.Graph(id="fares"),
    ]
)


@app.callback(Output("summary", "children"), Output("fares", "figure"), Input("zone", "value"))
def update(zone):
    """What changes with the zone."""
    frame = cn.get(NAME, columns=["zone", "fare"])
    fares = frame.loc[frame["zone"] == zone, "fare"]
    counts, edges = np.histogram(fares, bins=20)
    figure = {"data": [{"type": "bar", "x": edges[:-1].tolist(), "y": counts.tolist()}]}
    return f"{len(fares):,} trips, mean fare {fares.mean():.2f}", figure


if __name__ == "__main__":
    if not cn.exists(NAME):
        rng = np.random.default_rng(1)
        zones = pd.Categorical(rng.choice(["airport", "centre", "harbour"], 10_000))
        cn.put(NAME, pd.DataFrame({"zone": zones, "fare": rng.gamma(4, 4, 10_000).round(2)})).close()
    app.run(port=int(sys.argv[1]) if len(sys.argv) > 1 else 8050)
