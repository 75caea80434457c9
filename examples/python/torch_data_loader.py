"""Feed the workers of a PyTorch DataLoader from one stored table, and see that their memory does not grow.

    pip install torch
    python examples/python/torch_data_loader.py                      # about 200 MB, with 0, 1, 2 and 4 workers
    python examples/python/torch_data_loader.py --start spawn --persistent

Rows kept as Python objects are copied by whoever reads them: to look at an object is to count a reference, which writes
to its page, and a forked worker then has a page of its own. Here the rows stay in the store. A worker gets a reference
of some hundred bytes, opens the table by itself, and makes objects of its batch alone. The program shows both.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

import colonnade as cn

Batch = tuple[torch.Tensor, torch.Tensor]


class Reviews(Dataset[Batch]):
    """The rows of a snapshot. What is pickled is the snapshot, and that is a reference."""

    def __init__(self, snapshot: cn.Snapshot) -> None:
        self.snapshot = snapshot
        self._frame: pd.DataFrame | None = None

    def __len__(self) -> int:
        return self.snapshot.num_rows

    def __getitem__(self, row: int) -> Batch:
        return self.__getitems__([row])

    def __getitems__(self, rows: list[int]) -> Batch:
        """A whole batch at once, which is many times as fast as row by row."""
        if self._frame is None:  # each process opens its own, when it first needs it
            self._frame = self.snapshot.to_pandas(writable=False)
        batch = self._frame.iloc[rows]
        return encode(batch["text"]), torch.tensor(batch["stars"].to_numpy())

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_frame": None}


class ReviewsInAList(Dataset[Batch]):
    """The same rows, as they often are kept: a list of Python objects, which forked workers inherit."""

    def __init__(self, snapshot: cn.Snapshot, rows: int) -> None:
        self.rows = list(snapshot.to_pandas().iloc[:rows].itertuples(index=False, name=None))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, rows: list[int]) -> Batch:
        texts, stars = zip(*[self.rows[row] for row in rows], strict=True)
        return encode(texts), torch.tensor(stars)


class Shuffled(Sampler[list[int]]):
    """Batches of rows in random order. `shuffle=True` would make a Python int of every row first: 40 MB a million."""

    def __init__(self, rows: int, size: int = 4096) -> None:
        self.rows, self.size = rows, size

    def __len__(self) -> int:
        return math.ceil(self.rows / self.size)

    def __iter__(self) -> Iterator[list[int]]:
        return (batch.tolist() for batch in torch.randperm(self.rows).split(self.size))


def encode(texts: Any) -> torch.Tensor:
    """In place of a tokenizer: one number a text."""
    return torch.tensor([zlib.crc32(text.encode()) for text in texts])


def as_it_is(batch: Batch) -> Batch:
    """Leave a batch alone: `__getitems__` has made tensors already. It has a name, so that it can be pickled."""
    return batch


def loader(dataset: Any, workers: int, start: str, persistent: bool) -> DataLoader[Batch]:
    return DataLoader(
        dataset,
        batch_sampler=Shuffled(len(dataset)),
        collate_fn=as_it_is,
        num_workers=workers,
        multiprocessing_context=start if workers else None,
        persistent_workers=persistent and workers > 0,
    )


# -- what it takes -----------------------------------------------------------------------------------------------------


NAME = "examples/reviews"


def put(rows: int) -> None:
    """Make up reviews: about 370 bytes of text each, and 1 to 5 stars."""
    number = pa.array(np.arange(rows)).cast(pa.string())
    text = pc.binary_join_element_wise("review", number, "lorem ipsum dolor " * 20, " ")
    cn.put(NAME, pa.table({"text": text, "stars": np.arange(rows) % 5 + 1}))


def private_memory(process: int, store: str) -> int:
    """What a process has to itself. A page of the store that nobody else looks at yet is the store's all the same."""
    private, in_store = 0, False
    for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
        label, *rest = line.split()
        if not label.endswith(":"):
            in_store = store in line
        elif label.startswith("Private_") and not in_store:
            private += int(rest[0]) << 10
    return private


def epoch(batches: DataLoader[Batch]) -> tuple[int, list[int]]:
    """Go through all rows once; give the sum of the stars, and what each worker has when the last batch is there."""
    stars, memory = 0, []
    for number, (_, batch_stars) in enumerate(batches, start=1):
        stars += int(batch_stars.sum())
        if number == len(batches):
            workers = [worker.pid for worker in multiprocessing.active_children() if worker.pid] or [os.getpid()]
            memory = [private_memory(worker, os.environ["COLONNADE_STORE"]) for worker in workers]
    return stars, memory


def show(kind: str, dataset: Any, stars: int, options: argparse.Namespace) -> None:
    """Print what the largest worker has after each epoch, with as many workers as are asked for."""
    for workers in options.workers:
        batches = loader(dataset, workers, options.start, options.persistent)
        megabytes = []
        for _ in range(options.epochs):
            star_sum, memory = epoch(batches)
            assert (star_sum, len(memory)) == (stars, max(workers, 1))
            megabytes.append(f"{max(memory) / 1e6:.0f}")
        print(f"{kind}, {workers} workers: {' '.join(megabytes)} MB each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--list-rows", type=int, default=100_000, help="how many of them the list has; 0: no list")
    parser.add_argument("--start", choices=multiprocessing.get_all_start_methods(), default="fork")
    parser.add_argument("--persistent", action="store_true", help="keep the workers from epoch to epoch")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers than processors: they are counted
    producer = multiprocessing.get_context("spawn").Process(target=put, args=(options.rows,))
    producer.start()
    producer.join()
    with cn.open(NAME) as snapshot:
        stars = snapshot.to_pandas()["stars"].to_numpy()
        print(f"{snapshot.num_rows:,} rows in the store: {snapshot.nbytes / 1e6:.0f} MB")
        print("what a worker has of its own after each epoch, with rows from ...")
        show("the store", Reviews(snapshot), int(stars.sum()), options)
        if options.list_rows:
            few = stars[: options.list_rows]
            before = private_memory(os.getpid(), os.environ["COLONNADE_STORE"])
            rows = ReviewsInAList(snapshot, len(few))
            nbytes = private_memory(os.getpid(), os.environ["COLONNADE_STORE"]) - before
            print(f"a list of {len(few):,} of the rows, {nbytes / 1e6:.0f} MB")
            show("the list", rows, int(few.sum()), options)


if __name__ == "__main__":
    place = tempfile.mkdtemp(prefix="colonnade-example-", dir="/dev/shm")
    os.environ["COLONNADE_STORE"] = place
    try:
        main()
    finally:
        shutil.rmtree(place)
