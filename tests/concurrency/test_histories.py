"""Histories of put, compare-and-swap, get, delete and gc by many processes, some of them killed, are linearizable."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

import colonnade as cn
from concurrency.histories import CONFLICT, FOUND_NOTHING, UNKNOWN, Operation, is_linearizable


def op(kind, called, returned, result, value=None, expect=None):
    return Operation(kind, value, expect, called, returned, result)


RIGHT = {
    "one after the other": [op("put", 0, 1, 1, 7), op("get", 2, 3, (1, 7)), op("delete", 4, 5, None), op("get", 6, 7, FOUND_NOTHING)],
    "a get beside a put sees it": [op("put", 0, 9, 1, 7), op("get", 1, 2, (1, 7))],
    "a get beside a put does not see it": [op("put", 0, 9, 1, 7), op("get", 1, 2, FOUND_NOTHING)],
    "one of two swaps wins": [op("put", 0, 1, 1, 7), op("cas", 2, 9, 2, 8, 1), op("cas", 2, 9, CONFLICT, 9, 1)],
    "a killed put happened": [op("put", 0, 1, UNKNOWN, 7), op("get", 5, 6, (1, 7))],
    "a killed put did not happen": [op("put", 0, 1, UNKNOWN, 7), op("get", 5, 6, FOUND_NOTHING)],
    "a killed put happened late": [op("put", 0, 1, UNKNOWN, 7), op("get", 2, 3, FOUND_NOTHING), op("get", 5, 6, (1, 7))],
}  # fmt: skip
WRONG = {
    "a put is lost": [op("put", 0, 1, 1, 7), op("get", 2, 3, FOUND_NOTHING)],
    "an old value comes back": [op("put", 0, 1, 1, 7), op("put", 2, 3, 2, 8), op("get", 4, 5, (1, 7))],
    "a value that nobody put": [op("put", 0, 1, 1, 7), op("get", 2, 3, (1, 8))],
    "two puts got one version": [op("put", 0, 9, 1, 7), op("put", 0, 9, 1, 8)],
    "a version is left out": [op("put", 0, 1, 1, 7), op("put", 2, 3, 3, 8)],
    "both swaps win": [op("put", 0, 1, 1, 7), op("cas", 2, 9, 2, 8, 1), op("cas", 2, 9, 2, 9, 1)],
    "a swap wins against another version": [op("put", 0, 1, 1, 7), op("cas", 2, 3, 2, 8, 5)],
    "a swap loses though nothing changed": [op("put", 0, 1, 1, 7), op("cas", 2, 3, CONFLICT, 8, 1)],
    "a deleted table is found": [op("put", 0, 1, 1, 7), op("delete", 2, 3, None), op("get", 4, 5, (1, 7))],
    "a delete that found nothing": [op("put", 0, 1, 1, 7), op("delete", 2, 3, FOUND_NOTHING)],
    "readers go back in time": [op("put", 0, 1, 1, 7), op("put", 2, 9, 2, 8), op("get", 3, 4, (2, 8)), op("get", 5, 6, (1, 7))],
    "a killed put happened and was undone": [op("put", 0, 1, UNKNOWN, 7), op("get", 2, 3, (1, 7)), op("get", 4, 5, FOUND_NOTHING)],
    "a killed put happened before its call": [op("get", 0, 1, (1, 7)), op("put", 2, 3, UNKNOWN, 7)],
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_the_checker_accepts_what_is_right(name):
    assert is_linearizable(RIGHT[name])


@pytest.mark.parametrize("name", WRONG)
def test_the_checker_refuses_what_is_wrong(name):
    assert not is_linearizable(WRONG[name])


WORKER = """
import json, random, sys, time
import colonnade as cn, pandas as pd
path, seed = sys.argv[1], int(sys.argv[2])
store, rng = cn.Store(path), random.Random(seed)
known = 0
def say(**what):
    sys.stdout.write(json.dumps(what) + "\\n"); sys.stdout.flush()
store.exists("warm"); pd.DataFrame({"x": [1]})
for number in range(int(sys.argv[3])):
    kind = rng.choice(["put", "put", "cas", "cas", "get", "get", "get", "delete", "gc"])
    value, expect = seed * 1_000_000 + number, known if kind == "cas" else None
    if kind != "gc":
        say(kind=kind, value=value, expect=expect, called=time.monotonic())
    try:
        if kind == "put" or kind == "cas":
            with store.put("t", pd.DataFrame({"x": [value] * rng.choice([10, 300_000])}), expect_version=expect) as snap:
                result = known = snap.version
        elif kind == "get":
            with store.open("t") as snap:
                known = snap.version
                result = [snap.version, int(snap.to_pandas()["x"].iloc[-1])]
        elif kind == "delete":
            result = store.delete("t")
        else:
            store.gc()
    except cn.ConflictError:
        result = "conflict"
    except cn.NotFoundError:
        result, known = "nothing", 0
    if kind != "gc":
        say(returned=time.monotonic(), result=result)
"""


def history_of(folder, seed, workers, operations):
    """Let workers operate on one name and kill some of them; returns the history that they recorded."""
    rng = random.Random(seed)
    command = [sys.executable, "-c", WORKER, folder]
    processes = [
        subprocess.Popen(
            [*map(str, command), str(seed * 100 + number), str(operations)], stdout=subprocess.PIPE, text=True
        )
        for number in range(workers)
    ]
    for process in processes[: workers // 2]:
        first = process.stdout.readline()  # it has begun
        time.sleep(rng.random() * 0.3)
        os.kill(process.pid, signal.SIGKILL)
        process.first = first
    history = []
    for process in processes:
        text = getattr(process, "first", "") + process.communicate()[0]
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        for call, answer in zip(lines[::2], [*lines[1::2], None], strict=False):
            result = UNKNOWN if answer is None else answer["result"]
            result = tuple(result) if isinstance(result, list) else result
            history.append(Operation(call["kind"], call["value"], call["expect"], call["called"],
                                     answer["returned"] if answer else call["called"], result))  # fmt: skip
    return history


@pytest.mark.parametrize("seed", range(1, 1 + int(os.environ.get("COLONNADE_HISTORIES", "5"))))
def test_histories_with_kills_are_linearizable(store, seed):
    history = history_of(store.path, seed, workers=4, operations=60)
    assert is_linearizable(history), [operation._asdict() for operation in history]
    assert len(history) > 60
    with pytest.raises(cn.NotFoundError):
        store.get("other")
