"""The hash of memory, against the xxhash package."""

import mmap

import numpy as np
import pytest
import xxhash

from colonnade import _core

PART = 1 << 20


def expected(data):
    """The hash that ``src/core/hash.h`` defines."""
    if len(data) <= PART:
        return xxhash.xxh3_64_intdigest(data)
    parts = [xxhash.xxh3_64_intdigest(data[at : at + PART]) for at in range(0, len(data), PART)]
    return xxhash.xxh3_64_intdigest(np.array(parts, "<u8").tobytes(), seed=len(data))


@pytest.mark.parametrize("threads", [0, 1, 2, 7])
@pytest.mark.parametrize("size", [0, 1, 3, 16, 17, 128, 129, 240, 241, 4096, PART - 1, PART, PART + 1, 5 * PART + 7])
def test_hash_is_xxh3_of_parts(size, threads):
    data = np.random.default_rng(size).bytes(size)
    assert _core.hash_bytes(data, threads) == expected(data)


def test_any_contiguous_memory_has_the_hash_of_its_bytes():
    values = np.arange(300_000, dtype=np.float64).reshape(300, 1000)
    same = expected(values.tobytes())
    with mmap.mmap(-1, values.nbytes) as mapping:
        mapping[:] = values.tobytes()
        memories = (values, values.tobytes(), np.asfortranarray(values.T), bytearray(values.tobytes()), mapping)
        assert [_core.hash_bytes(memory) for memory in memories] == [same] * len(memories)
    values.setflags(write=False)
    assert _core.hash_bytes(values) == same


@pytest.mark.parametrize("at", [0, 1, PART - 1, PART, 3 * PART, 3 * PART + 99])
def test_one_changed_bit_changes_the_hash(at):
    data = np.zeros(3 * PART + 100, np.uint8)
    before = _core.hash_bytes(data)
    data[at] = 4
    assert _core.hash_bytes(data) != before


def test_the_length_and_the_order_of_parts_count():
    first, second = bytes(PART), b"\1" * PART
    hashes = {_core.hash_bytes(data) for data in (first, first * 2, first * 3, first + second, second + first)}
    assert len(hashes) == 5


def test_memory_that_is_not_contiguous_is_refused():
    with pytest.raises(ValueError, match="contiguous"):  # NumPy's
        _core.hash_bytes(np.arange(10)[::2])
    with pytest.raises(BufferError):
        _core.hash_bytes(memoryview(bytes(10))[::2])
    with pytest.raises(TypeError):
        _core.hash_bytes("text")
