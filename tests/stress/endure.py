"""A hundred thousand puts of one name, with readers' frames coming and going: nothing may grow.

Does not depend on: kills.

    PYTHONPATH=tests python -m stress.endure --puts 100000

Frames are small and change their size; every hundredth is large enough for its memory to be used again. Memory, descriptors, mappings,
directory entries and the bytes of the store are looked at in ten places, and the last must be as the first.
"""

import argparse
import gc
import random
import sys
import time
from collections import deque
from typing import NamedTuple

import colonnade as cn
from support import payload
from support.place import Place, descriptors, entries

_KEEP = 3
_HELD = 20
# Private memory wavers by what the allocators keep at hand.
_MEMORY = 8 << 20


class Sample(NamedTuple):
    """What is in use at one moment: bytes, and some counts."""

    puts: int
    private: int
    descriptors: int
    mappings: int
    entries: int
    taken: int


def private_memory():
    with open("/proc/self/smaps_rollup") as file:
        answer = {line.split(":")[0]: line.split()[1] for line in file if line.endswith("kB\n")}
    # Not what is private by chance: a library's pages are, as long as no other process has it.
    return int(answer["Anonymous"]) * 1024


def look(puts, store, place):
    """One sample, after everything that can be released was released."""
    gc.collect()
    store.gc()
    place.settle()
    with open("/proc/self/maps") as file:
        mappings = sum(1 for line in file if str(place.folder) in line)
    return Sample(puts, private_memory(), descriptors(), mappings, len(entries(store.path)), place.taken())


def endure(store, place, puts, seed):
    """Put, read and hold; gives ten samples."""
    cn.set_pool_limit(0)  # what conversions keep for each other is not what is looked at
    dice = random.Random(seed)
    small = [payload.make(dice.getrandbits(40), dice.randint(1, 3000)) for _ in range(40)]
    large = [payload.make(dice.getrandbits(40), dice.randint(55_000, 80_000)) for _ in range(4)]
    readers = deque()
    every = max(puts // 10, 1)
    for number in range(1, puts + 1):
        due = number % every == 0
        df = small[0] if due else dice.choice(large if number % 100 == 0 else small)
        with store.put("t", df, keep=1 if due else dice.randint(1, _KEEP)) as snap:
            if snap.version != number:
                raise AssertionError(f"put {number} made version {snap.version}")
        if number % 10 == 0:
            readers.append(store.get("t"))
            if len(readers) > _HELD:
                payload.verify_pandas(readers.popleft())
        if due:
            readers.clear()
            yield look(number, store, place)


def grown(first, last):
    """The figures that have grown."""
    result = [name for name in Sample._fields[2:] if getattr(first, name) != getattr(last, name)]
    if last.private > first.private + _MEMORY:
        result.append("private")
    return result


def main():
    parser = argparse.ArgumentParser(prog="stress.endure", description=__doc__.partition("\n")[0])
    parser.add_argument("--puts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with Place("256m") as place:
        samples = []
        print(f"{'puts':>8} {'private':>12} {'descriptors':>12} {'mappings':>9} {'entries':>8} {'bytes':>12}")
        for sample in endure(cn.Store(place.folder / "store"), place, options.puts, options.seed):
            samples.append(sample)
            print("{:8,} {:12,} {:12,} {:9,} {:8,} {:12,}".format(*sample), flush=True)
        seconds = time.monotonic() - began
        print(f"{options.puts:,} puts in {seconds:.0f} s, {options.puts / seconds:,.0f} a second")
        # The first tenth is the start-up.
        if problems := grown(samples[1], samples[-1]):
            sys.exit(f"FAILED, seed {options.seed}: after {samples[1].puts:,} puts other than at the end: {problems}")


if __name__ == "__main__":
    main()
