"""The logger ``colonnade``: what it reports, and that nothing is printed if a program configures no logging."""

import logging
import pickle
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from support.clock import later


@pytest.fixture
def messages(caplog):
    caplog.set_level(logging.DEBUG, "colonnade")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records]


def test_gc_and_what_expired(store, messages):
    store.put("a/t", pd.DataFrame({"x": [1]}), ttl=1).close()
    store.put("b", pd.DataFrame({"x": [1]})).close()
    store.gc()
    assert messages() == []
    with later():
        store.gc()
    (expired, gc) = messages()
    assert expired[0] == gc[0] == "INFO"
    assert expired[1].startswith("'a/t' expired and was removed")
    assert gc[1].startswith(f"gc of {store.path}: 1 files and 1 folders removed")


def test_a_refusal(folder, messages):
    store = cn.Store(folder / "s", capacity="1MiB")
    with pytest.raises(cn.StoreFullError):
        store.put("t", pd.DataFrame({"x": np.zeros(1 << 20)}))
    ((level, message),) = messages()
    assert level == "WARNING"
    assert "refused: " in message
    assert "has a capacity of 1048576" in message


def test_what_by_reference_pickles_instead(default_store, messages):
    frame = pd.DataFrame({"x": np.zeros(300_000, complex)})
    with cn.by_reference():
        pd.testing.assert_frame_equal(pickle.loads(ForkingPickler.dumps(frame)), frame)
    assert any(level == "DEBUG" and "is pickled, not sent by reference" in message for level, message in messages())


def test_nobody_listens_and_nothing_is_printed():
    """Python prints the warnings of loggers that have no handler."""
    program = """if True:
        import numpy as np, pandas as pd, colonnade as cn, tempfile
        try:
            cn.Store(tempfile.mkdtemp(), capacity="1KiB").put("t", pd.DataFrame({"x": np.zeros(1000)}))
        except cn.StoreFullError:
            print("full")
    """
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (process.stdout, process.stderr) == ("full\n", "")
