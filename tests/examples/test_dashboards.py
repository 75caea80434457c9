"""The dashboards run without a browser, show the table, and go over to a new version."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import colonnade as cn

DASHBOARDS = Path(__file__).parents[2] / "examples" / "dashboards"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DASHBOARDS.exists(), reason="installed without its examples")]


def new_version(rows):
    cn.put("taxi/trips", pd.DataFrame({"zone": pd.Categorical(["harbour"] * rows), "fare": [7.5] * rows})).close()


@pytest.mark.filterwarnings("default")
def test_streamlit(folder, monkeypatch):
    """In Streamlit's own harness, which runs the script as its server does."""
    testing = pytest.importorskip("streamlit.testing.v1")
    monkeypatch.setenv("COLONNADE_STORE", str(folder / "store"))
    app = testing.AppTest.from_file(DASHBOARDS / "streamlit_app.py", default_timeout=60).run()
    assert not app.exception
    assert app.selectbox[0].options == ["airport", "centre", "harbour"]
    trips = cn.get("taxi/trips")
    assert app.metric[0].value == f"{(trips['zone'] == 'airport').sum():,}"
    app.selectbox[0].select("harbour").run()
    assert app.metric[0].value == f"{(trips['zone'] == 'harbour').sum():,}"
    new_version(3)
    app.run()
    assert (app.metric[0].value, app.metric[1].value) == ("3", "7.50")
    del trips


@pytest.mark.filterwarnings("default")
def test_streamlit_with_a_table_that_grows(folder, monkeypatch):
    """The chart is of the rows that are there by then, while the feed goes on."""
    testing = pytest.importorskip("streamlit.testing.v1")
    monkeypatch.setenv("COLONNADE_STORE", str(folder / "store"))
    with cn.appender("live/ticks", {"time": "datetime64[ns]", "bid": "float64"}, index="time") as feed:
        feed.append({"time": pd.date_range("2026-01-01", periods=3, freq="s"), "bid": [1.0, 2.0, 3.0]})
        app = testing.AppTest.from_file(DASHBOARDS / "streamlit_ticks.py", default_timeout=60).run()
        assert not app.exception
        assert [metric.value for metric in app.metric] == ["3", "3.00000"]
        feed.append({"time": pd.date_range("2026-01-02", periods=2, freq="s"), "bid": [4.0, 5.0]})
        app.run()
        assert not app.exception
        assert [metric.value for metric in app.metric] == ["5", "5.00000"]


def test_dash(folder, monkeypatch):
    """The app runs as a program, and gets the requests that a browser sends."""
    pytest.importorskip("dash")
    monkeypatch.setenv("COLONNADE_STORE", str(folder / "store"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, DASHBOARDS / "dash_app.py", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ) as process:
        try:
            first = ask(port, "airport")
            assert "trips, mean fare" in first["summary"]["children"]
            assert sum(first["fares"]["figure"]["data"][0]["y"]) == (cn.get("taxi/trips")["zone"] == "airport").sum()
            new_version(4)
            assert ask(port, "harbour")["summary"]["children"] == "4 trips, mean fare 7.50"
        finally:
            process.terminate()


def ask(port, zone):
    body = json.dumps(
        {
            "output": "..summary.children...fares.figure..",
            "outputs": [{"id": "summary", "property": "children"}, {"id": "fares", "property": "figure"}],
            "inputs": [{"id": "zone", "property": "value", "value": zone}],
            "changedPropIds": ["zone.value"],
        }
    )
    until = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("POST", "/_dash-update-component", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            return json.loads(text)["response"]
        except ConnectionRefusedError:
            assert time.monotonic() < until
            time.sleep(0.1)
        finally:
            connection.close()
