"""The publisher and the readers of `benchmarks.compare`, each in a process and an environment of its own.

A process reads one command a line and answers with one line of JSON. An answer with ``error`` is its last.

Does not depend on: Colonnade, unless that is the rival; how figures are collected.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.rivals import Rival, rival

Answer = dict[str, Any]


def read_all(frame: pd.DataFrame) -> int:
    """Read every value of a frame, without a copy of it. Frames of the same bytes give the same number."""
    total = 0
    for place in range(frame.shape[1]):
        column: pd.Series[Any] = frame.iloc[:, place]
        if isinstance(column.dtype, np.dtype):
            total += _read_words(column.to_numpy())
        elif isinstance(column.array, pd.Categorical):
            total += _read_words(column.array.codes)
        else:
            total += _read_arrow(pa.array(column.array))
    index = frame.index
    for codes in index.codes if isinstance(index, pd.MultiIndex) else []:
        total += _read_words(np.asarray(codes))
    return total % (1 << 64)


def _read_words(values: np.ndarray[Any, Any]) -> int:
    if values.dtype.hasobject:
        return sum(value is not None for value in values)  # objects have no bytes to add
    words = values.view(f"u{values.dtype.itemsize}")
    if words.flags.c_contiguous and words.nbytes >= 8:
        return _sum_of_bytes(words.view("u1"))
    return int(words.sum(dtype=np.uint64))


def _sum_of_bytes(values: np.ndarray[Any, Any]) -> int:
    """Read bytes in words of 8, at the speed of memory."""
    whole = values.nbytes // 8 * 8
    rest: list[int] = values[whole:].tolist()
    return int(values[:whole].view("u8").sum()) + sum(rest)


def _read_arrow(array: Any) -> int:
    total = 0
    for chunk in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
        for buffer in chunk.buffers()[1:]:
            if buffer is not None:
                total += _sum_of_bytes(np.frombuffer(buffer, "u1"))
    return total


def private_memory() -> int:
    """The bytes that this process shares with nobody."""
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Anonymous"))


def _comparable(column: Any) -> Any:
    array = pa.array(column.array if column.dtype != object else column, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def differences(sent: pd.DataFrame, arrived: pd.DataFrame) -> dict[str, Any]:
    """What is not as it was sent: dtypes that changed, and columns, labels and an index with other values."""
    dtypes: dict[str, int] = {}
    values = []
    if list(map(str, sent.columns)) != list(map(str, arrived.columns)):
        return {"dtypes": {}, "values": [f"columns: {', '.join(map(str, list(arrived.columns)[:6]))}"]}
    if not sent.index.equals(arrived.index):
        values.append("index")
    for place, label in enumerate(sent.columns):
        ours, theirs = sent.iloc[:, place], arrived.iloc[:, place]
        if str(ours.dtype) != str(theirs.dtype):
            dtypes[f"{ours.dtype} to {theirs.dtype}"] = dtypes.get(f"{ours.dtype} to {theirs.dtype}", 0) + 1
        if isinstance(ours.dtype, np.dtype) and ours.dtype == theirs.dtype and ours.dtype.kind in "biuf":
            left, right = ours.to_numpy(), theirs.to_numpy()
            bits = f"u{ours.dtype.itemsize}"  # the usual case, and much faster than a look at each NaN
            same = np.array_equal(left.view(bits), right.view(bits)) or np.array_equal(left, right, equal_nan=True)
        else:
            left, right = _comparable(ours), _comparable(theirs)
            same = left.equals(right if right.type == left.type else right.cast(left.type))
        if not same:
            values.append(str(label))
    return {"dtypes": dtypes, "values": values}


def sent(file: Path) -> pd.DataFrame:
    """The frame that is published."""
    with file.open("rb") as stream:
        frame: pd.DataFrame = pickle.load(stream)
    return frame


class Publisher:
    """Publishes one frame, again and again."""

    def __init__(self, way: Rival, folder: Path, file: Path) -> None:
        self._way, self._folder = way, folder
        self._frame = sent(file)
        way.publish(folder, "tiny", self._frame.iloc[:10].copy())  # loads what opening such a frame needs

    def publish(self) -> Answer:
        start = time.perf_counter()
        self._way.publish(self._folder, "frame", self._frame)
        return {"seconds": time.perf_counter() - start}


class Reader:
    """Opens the frame once, and works with it."""

    def __init__(self, way: Rival, folder: Path, file: Path) -> None:
        self._way, self._folder, self._file = way, folder, file
        self._frame = pd.DataFrame()

    def warm(self) -> Answer:
        """Open a tiny frame, which loads what opening needs."""
        for _ in range(2):
            frame = self._way.load(self._folder, "tiny")
        read_all(frame)
        return {"warm": True}

    def open(self) -> Answer:
        before = private_memory()
        start = time.perf_counter()
        self._frame = self._way.load(self._folder, "frame")
        opened = time.perf_counter()
        number = read_all(self._frame)
        read = time.perf_counter()
        private = max(private_memory() - before, 0)
        return {"open": opened - start, "scan": read - opened, "private": private, "number": number}

    def read(self) -> Answer:
        return {"number": read_all(self._frame)}

    def compare(self) -> Answer:
        return differences(sent(self._file), self._frame)

    def write(self) -> Answer:
        """Write one cell, as a user does. Read-only frames refuse."""
        place: Any = (0, 0)
        value: Any = self._frame.iloc[1, 0]
        start = time.perf_counter()
        try:
            self._frame.iloc[place] = value
        except (ValueError, TypeError) as error:
            return {"cell": None, "refused": str(error)}
        return {"cell": time.perf_counter() - start}


def main() -> None:
    """``python -m benchmarks.compare_process publisher|reader RIVAL FOLDER FILE``."""
    # What a library prints goes to stderr; the answers have the pipe for themselves.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    role, name, folder, file = sys.argv[1:]

    def answer(job: Callable[[], Answer]) -> None:
        try:
            result = job()
        except BaseException as error:
            first = str(error).strip().splitlines()[:1]
            answers.write(json.dumps({"error": f"{type(error).__name__}: {' '.join(first)}"[:300]}) + "\n")
            answers.flush()
            os._exit(1)
        answers.write(json.dumps(result) + "\n")

    actor: list[Any] = []

    def start() -> Answer:
        actor.append((Publisher if role == "publisher" else Reader)(rival(name), Path(folder), Path(file)))
        return {"ready": True}

    answer(start)
    for line in sys.stdin:
        answer(getattr(actor[0], line.strip()))
    os._exit(0)  # not `sys.exit`: some servers' clients wait at the end


if __name__ == "__main__":
    main()
