"""A live chart of ticks in a browser: ``streamlit run examples/dashboards/streamlit_ticks.py``.

A thread appends ticks to a growing table, as a feed handler in a process of its own would. A part of the page runs
again every half second and draws the last ticks. It reads the rows that are there by then: nothing is copied, and the
feed does not notice.
"""

import contextlib
import threading
import time

import altair as alt
import numpy as np
import streamlit as st

import colonnade as cn

NAME = "live/ticks"


def feed(ticks, stop):
    """Append a random walk, 20 ticks at a time, until the program ends."""
    rng = np.random.default_rng(1)
    price = 1.08
    with ticks:
        while not stop.is_set():
            walk = price + rng.normal(0, 1e-5, 20).cumsum()
            ticks.append({"time": np.full(20, np.datetime64(time.time_ns(), "ns")), "bid": walk})
            price = walk[-1]
            stop.wait(0.05)


@st.cache_resource
def newest():
    """Start the feed, if no other process appends already; the handle is one for all sessions."""
    with contextlib.suppress(cn.LogBusyError):
        ticks = cn.appender(NAME, {"time": "datetime64[ns]", "bid": "float64"}, index="time", retain="1h")
        threading.Thread(target=feed, args=(ticks, threading.Event()), daemon=True).start()
    return cn.latest(NAME)


@st.fragment(run_every=0.5)
def chart():
    """What runs again and again."""
    frame = newest().frame
    left, right = st.columns(2)
    left.metric("ticks", f"{len(frame):,}")
    right.metric("bid", f"{frame['bid'].iloc[-1]:.5f}" if len(frame) else "none yet")
    last = alt.Chart(frame.iloc[-2_000:].reset_index())
    st.altair_chart(last.mark_line().encode(alt.X("time:T"), alt.Y("bid:Q").scale(zero=False)))


st.title("Ticks")
chart()
