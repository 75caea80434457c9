"""Jobs of the core, run through memory or a file, and what they wrote."""

import os
from functools import partial
from typing import NamedTuple

import numpy as np

from colonnade.core import jobs
from colonnade.core.jobs import Placed
from colonnade.core.regions import arrange
from support.memory import address


class Output(NamedTuple):
    memory: np.ndarray
    places: dict
    results: dict


def run(jobs_to_run, through):
    """Run jobs and return the output."""
    regions = [r for job in jobs_to_run for r in (job.values, job.bitmap, job.mask, job.pandas_buffer) if r is not None]
    places, size = arrange([], regions)
    if through != "file":
        # Unaligned by a word, as a column of a block may be.
        memory = np.zeros(size + 8, np.uint8)[8:]
        stream_from = 0 if through == "streamed memory" else 1 << 40
        groups = [Placed(jobs_to_run, places, address(memory))]
        results = jobs.run(groups, partial(jobs.into_memory, outputs=[memory], stream_from=stream_from))
        return Output(memory, places, results)
    fd = os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR)
    try:
        os.ftruncate(fd, size)
        results = jobs.run([Placed(jobs_to_run, places, 0)], partial(jobs.into_file, fd=fd, size=size))
        return Output(np.frombuffer(os.pread(fd, size, 0), np.uint8), places, results)
    finally:
        os.close(fd)


def at(output, region, dtype):
    place = output.places[region]
    return output.memory[place : place + region.size].view(dtype)


def bits_at(output, region, count):
    return np.unpackbits(at(output, region, np.uint8), count=count, bitorder="little").astype(bool)


def pack(bits, offset):
    """A bitmap that starts at a bit offset, with random bits before it, in exactly as many bytes as it needs."""
    return np.packbits(np.concatenate([np.arange(offset) % 3 == 0, bits]), bitorder="little")
