"""Distinct numbers, and processes that end while a thread of theirs looks for them."""

import os
import subprocess
import sys

import numpy as np
import pytest

from colonnade.core.distinct import distinct


@pytest.mark.parametrize("numbers", [[], [0], [3, 0, 3, 3, 1], [7] * 5])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64"])
def test_distinct(numbers, dtype):
    assert distinct(np.array(numbers, dtype)).tolist() == sorted(set(numbers))


def test_the_end_of_a_process_in_the_middle():
    program = """
import os, sys, threading, time
import numpy as np
from colonnade.core.distinct import distinct

def loop():
    while True:
        distinct(numbers)

numbers = np.arange(200_000)
for number in range(20):
    child = os.fork()
    if not child:
        for _ in range(3):
            threading.Thread(target=loop, daemon=True).start()
        time.sleep(0.002 * number)
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0, number
"""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=environment)
