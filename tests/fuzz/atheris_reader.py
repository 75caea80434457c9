"""A harness for Atheris (https://github.com/google/atheris) on the reader: it keeps what reaches new lines of our code.

Run it with ``make fuzz-atheris``. Where `fuzz.mutate` knows the format and breaks what it knows, this one looks for what nobody
thought of: it starts with whole files, and half of its steps are libFuzzer's own. An input is all of a file; what it finds is
a crash, or an exception that is none of `colonnade.ColonnadeError`.
"""

import contextlib
import random
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent))

with atheris.instrument_imports(include=["colonnade"]):
    import colonnade as cn
    from colonnade.format.explain import explain
    from colonnade.format.ipc import read_envelope
    from colonnade.format.read.file import open_file
    from colonnade.format.read.table import read_frame, validate
    from colonnade.format.seal import CHECKSUMS_SIZE, SEAL_SIZE, TAIL_SIZE, Seal, seal_place

from fuzz.anatomy import Anatomy, resealed
from fuzz.mutate import make_corpus
from fuzz.mutations import mutate

FILES = []


def read(data):
    """All that reads a file's bytes: as they are, and validated."""
    for step in (_seal, lambda data: read_envelope(memoryview(data)), _table, _valid):
        with contextlib.suppress(cn.ColonnadeError, MemoryError):
            step(data)


def _seal(data):
    place = seal_place(len(data), data[-TAIL_SIZE:])
    Seal.unpack(data[max(place - CHECKSUMS_SIZE, 0) : place + SEAL_SIZE])


def _table(data):
    explain(open_file(data, 0, len(data)))
    read_frame(open_file(data, 0, len(data)))


def _valid(data):
    validate(open_file(data, 0, len(data)))
    read_frame(open_file(data, 0, len(data)))


def change(data, most, seed):
    """Half of the time a mutation that knows the format, where the input still has it."""
    rng = random.Random(seed)
    if rng.random() < 0.5:
        try:
            return mutate(rng, Anatomy(data), Anatomy(rng.choice(FILES)))[1][:most]
        except Exception:  # noqa: S110 -- it is too broken to be taken apart
            pass
    changed = atheris.Mutate(data, most)
    return resealed(changed) if rng.random() < 0.5 else changed


def main():
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # libFuzzer ends the process, and leaves it
        FILES.extend(make_corpus(Path(folder) / "making"))
        seeds = Path(folder) / "corpus"
        seeds.mkdir()
        for i, data in enumerate(FILES):
            (seeds / f"{i:04}").write_bytes(data)
        atheris.Setup([*sys.argv, str(seeds)], read, custom_mutator=change)
        atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    main()
