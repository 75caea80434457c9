"""Damage a growing table and use it in every way: `python -m fuzz.growing --cases 10000 --seed 1`.

Each case copies a table of two segments, changes some bytes of its head or of a segment, and lets a child read it,
append to it, check it and clean it up. Allowed are whole results, errors of Colonnade, and a MemoryError. A signal, any
other error, and a child that does not end are findings; the seed and the number of a finding make it again.

Does not depend on: how a table is written.
"""

import argparse
import os
import random
import shutil
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import colonnade as cn
from colonnade.format.growing_envelope import envelope
from colonnade.format.growing_file import read_state
from colonnade.format.stripes import STRIPE
from colonnade.storage import log_room
from colonnade.storage.log_head import ENTRY_SIZE, RING, SCHEMA
from colonnade.storage.log_reader import find_log
from growing.frames import frame
from support.sparse import copy_sparse

NAME, ROWS = "t", STRIPE + 200
ALLOWED = (cn.ColonnadeError, MemoryError)
_PATIENCE = 30.0
_NUMBERS = (0, 1, 7, 100, 4096, STRIPE, 1 << 20, 1 << 31, (1 << 31) - 1, 1 << 40, 1 << 62, 1 << 63, (1 << 64) - 1)


def make(store: cn.Store) -> dict[str, list[int]]:
    """Make the table; the places that are worth changing, by file."""
    log_room.SEGMENT_BYTES = 1
    with store.appender(NAME, like=frame(0, 8)) as log:
        log.append(frame(0, STRIPE))
        log.flush()
        log.append(frame(STRIPE, ROWS - STRIPE))
    reader = find_log(store._catalog, NAME)
    assert reader is not None
    head = [*range(0, 48, 8), 64, 128, 192, 200, 256, 264, 272, 320, 336]
    head += range(RING, RING + 2 * ENTRY_SIZE, 8)
    result = {"head": [*head * 8, *range(SCHEMA, SCHEMA + len(reader.schema_text))]}
    for segment in reader.look().segments:
        where, stop = segment.places, ROWS - STRIPE if segment.entry.base else STRIPE
        state = read_state(reader.schema, where, memoryview(segment.mapping))
        assert state is not None
        around = envelope(reader.schema.encode())
        rows = state.next_message - len(around.batch.message)
        at = [*range(len(around.start)), *range(rows, state.next_message)] * 2
        at += [place for first, *_ in state.dictionary_blocks for place in range(first, first + 400)]
        at += [*range(state.footer, state.footer + around.footer_size), *range(where.size - 10, where.size)] * 8
        for column, its in zip(reader.schema.columns, where.columns, strict=True):
            width = max(column.width, 1)
            ends = [(its.values, width), (its.validity, 0.125), (its.pandas, width), (its.mask, 1), (its.offsets, 8)]
            at += [
                int(start + row * size) for start, size in ends if start is not None for row in (0, 1, stop // 2, stop)
            ] * 4
            if its.text is not None:
                at += range(its.text, its.text + 50)
            if its.dictionary is not None:
                at += [its.dictionary.size, *range(its.dictionary.offsets, its.dictionary.offsets + 80)] * 4
                at += range(its.dictionary.text, its.dictionary.text + 40)
        result[f"{segment.entry.base:020d}-{segment.entry.number:06d}.arrow"] = at
    return result


def damage(folder: Path, found: dict[str, list[int]], numbers: random.Random) -> str:
    """Change a table; what was changed."""
    output = []
    for _ in range(numbers.choice((1, 1, 1, 2, 4))):
        file = numbers.choice(list(found))
        path, at = folder / file, numbers.choice(found[file])
        size = path.stat().st_size
        kind = numbers.randrange(20)
        with path.open("r+b", buffering=0) as stream:
            if kind == 0:
                os.truncate(path, numbers.choice((0, 1, size // 2, size - 1, size + 1, size + 4096)))
                output.append(f"{file}: other size")
                continue
            if kind < 8:
                at -= at % 8
                data = struct.pack("<Q", numbers.choice(_NUMBERS))
            elif kind < 12:
                data = bytes(numbers.randrange(256) for _ in range(numbers.choice((1, 2, 4, 16))))
            else:
                stream.seek(at)
                data = bytes([(stream.read(1) or b"\0")[0] ^ 1 << numbers.randrange(8)])
            stream.seek(at)
            stream.write(data)
            output.append(f"{file}: byte {at}: {data.hex()}")
    return "; ".join(output)


def uses(store: cn.Store) -> Iterator[tuple[str, Callable[[], object]]]:
    """All that is done with a table, each by itself."""
    yield "get", lambda: _sum(store.get(NAME))
    yield "get writable=False", lambda: _sum(store.get(NAME, writable=False))
    yield "last", lambda: _sum(store.get(NAME, last=50))
    yield "columns", lambda: store.get(NAME, columns=["s", "c"])
    yield "latest", lambda: _sum(store.latest(NAME).frame)
    yield "follow", lambda: _sum(next(store.follow(NAME, start="first", timeout=0)).to_pandas())
    yield "arrow", lambda: store.open(NAME).to_arrow(validate="full").to_pandas()
    yield "polars", lambda: store.open(NAME).to_polars(validate="full")
    yield "validate", lambda: store.open(NAME).validate()
    yield "version", lambda: _sum(store.get(NAME, version=STRIPE))
    yield "summary", lambda: store.open(NAME)._repr_html_()
    yield "lists", lambda: (store.ls(), store.usage(), store.exists(NAME))
    yield "check", store.check
    yield "append", lambda: store.append(NAME, frame(ROWS, 40))
    yield "get again", lambda: _sum(store.get(NAME, last=20))
    yield "gc", store.gc
    yield "delete", lambda: store.delete(NAME)


def _sum(df):
    for label in df.columns:
        array = df[label].array
        if isinstance(array.dtype, np.dtype) and array.dtype.kind in "biuf":
            array.sum()


def use(store: cn.Store) -> int:
    """Use a table in a child; 0 if all that came of it is allowed."""
    for what, act in uses(store):
        try:
            act()
        except ALLOWED:
            continue
        except BaseException as error:
            if what == "append" and "other columns than the table" in str(error):
                continue  # a name in the schema was changed
            sys.stderr.write(f"{what}:\n{traceback.format_exc()}")
            return 1
    return 0


def in_child(act: Callable[[], int]) -> str | None:
    """Run something in a child; what is wrong with its end."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # Arrow has threads
        child = os.fork()
    if not child:
        status = 1
        try:
            status = act()
        finally:
            os._exit(status)
    until = time.monotonic() + _PATIENCE
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return None if code == 0 else f"exit status {code}"
        if time.monotonic() > until:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return f"not at its end after {_PATIENCE:g} s"
        time.sleep(0.002)


def main() -> int:
    """Run the cases that are asked for."""
    parser = argparse.ArgumentParser(description="Damage a growing table and use it in every way.")
    parser.add_argument("--cases", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one case")
    arguments = parser.parse_args()
    findings, refused = 0, 0
    with tempfile.TemporaryDirectory(prefix="colonnade-fuzz-", dir="/dev/shm") as root:
        whole = cn.Store(Path(root, "whole"))
        result = make(whole)
        store = cn.Store(Path(root, "store"))
        store.put("other", frame(0, 3)).close()
        folder = store.path / f"{NAME}@live"
        for number in range(arguments.cases) if arguments.only is None else [arguments.only]:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for file in (whole.path / f"{NAME}@live").iterdir():
                copy_sparse(file, folder / file.name)
            output = damage(folder, result, random.Random(f"{arguments.seed} {number}"))
            refused += bool(store.check())
            wrong = in_child(lambda: use(store))
            if wrong:
                findings += 1
                sys.stdout.write(f"case {number}: {output}: {wrong}\n")
                sys.stdout.flush()
    sys.stdout.write(f"{arguments.cases:,} cases, {refused:,} of them found by check, {findings} findings\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
