"""A Streamlit dashboard over a shared table: ``streamlit run examples/dashboards/streamlit_app.py``.

Streamlit runs this file again at each click, for each session. `colonnade.latest` gives each run the newest version
without loading it. The first run puts some data, so that there is something to see.
"""

import numpy as np
import pandas as pd
import streamlit as st

import colonnade as cn

NAME = "taxi/trips"


@st.cache_resource
def trips():
    """The handle, one for all sessions of this process."""
    if not cn.exists(NAME):
        rng = np.random.default_rng(1)
        zones = pd.Categorical(rng.choice(["airport", "centre", "harbour"], 10_000))
        cn.put(NAME, pd.DataFrame({"zone": zones, "fare": rng.gamma(4, 4, 10_000).round(2)})).close()
    return cn.latest(NAME)


table = trips()
frame = table.frame  # the newest version, by now
st.title("Taxi trips")
zone = st.selectbox("Zone", list(frame["zone"].cat.categories))
fares = frame.loc[frame["zone"] == zone, "fare"]
left, right = st.columns(2)
left.metric("trips", f"{len(fares):,}")
right.metric("mean fare", f"{fares.mean():.2f}")
st.bar_chart(np.histogram(fares, bins=20)[0])
