"""Pieces of files next to each other in one range of addresses."""

import gc
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from colonnade import _core

PAGE = _core.page_size()


@pytest.fixture
def two_files(tmp_path):
    descriptors = []
    for number in range(2):
        path = tmp_path / f"{number}"
        (np.arange(2 * PAGE // 8) + number * 2 * PAGE // 8).astype("int64").tofile(path)
        descriptors.append(os.open(path, os.O_RDWR))
    yield descriptors
    for fd in descriptors:
        os.close(fd)


def mapped_lines(owner):
    """The lines of /proc/self/maps inside of a range that lead to a file."""
    lines = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, _, end = line.split()[0].partition("-")
        if int(start, 16) < owner.address + len(owner) and int(end, 16) > owner.address and line.split()[4] != "0":
            lines.append(line)
    return lines


def test_one_array_spans_two_files(two_files):
    values = _core.AddressRange(8 * PAGE)
    pieces = [values.map(fd, [(2 * PAGE * i, 0, 2 * PAGE)], False) for i, fd in enumerate(two_files)]
    array = np.ndarray(4 * PAGE // 8, "int64", _core.RangeView(values, pieces))
    assert array.tolist() == list(range(4 * PAGE // 8))
    assert not array.flags.writeable


def test_a_shared_piece_sees_what_is_stored_later_and_a_private_one_keeps_its_own_stores(two_files):
    addresses = _core.AddressRange(8 * PAGE)
    shared = addresses.map(two_files[0], [(0, 0, PAGE)], False)
    private = addresses.map(two_files[0], [(PAGE, 0, PAGE)], True)
    view = np.ndarray(4, "int64", _core.RangeView(addresses, [shared]))
    own = np.ndarray(4, "int64", _core.RangeView(addresses, [private]), offset=PAGE)
    own[0] = -1
    os.pwrite(two_files[0], np.int64(-7).tobytes(), 8)
    assert view.tolist() == [0, -7, 2, 3]
    assert own[0] == -1
    assert np.fromfile(f"/proc/self/fd/{two_files[0]}", "int64", 4).tolist() == [0, -7, 2, 3]


@pytest.mark.slow
def test_pieces_are_unmapped_when_the_last_view_is_gone(two_files):
    addresses = _core.AddressRange(8 * PAGE)
    piece = addresses.map(two_files[0], [(0, 0, PAGE), (4 * PAGE, PAGE, PAGE)], False)
    array = np.ndarray(4, "int64", _core.RangeView(addresses, [piece]))
    part = array[1:]
    del piece, array
    gc.collect()
    assert len(mapped_lines(addresses)) == 2
    del part
    gc.collect()
    assert mapped_lines(addresses) == []
    # The addresses can be used again.
    assert addresses.map(two_files[1], [(0, 0, PAGE)], False) is not None


def test_addresses_outlive_the_range_object(two_files):
    addresses = _core.AddressRange(4 * PAGE)
    array = np.ndarray(4, "int64", _core.RangeView(addresses, [addresses.map(two_files[0], [(0, 0, PAGE)], False)]))
    del addresses
    gc.collect()
    assert array.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ((8, 0, PAGE), "does not start at a page"),
        ((0, 8, PAGE), "does not start at a page"),
        ((0, 0, 0), "not inside of the file"),
        ((0, PAGE, 2 * PAGE), "not inside of the file"),
        ((0, 2**62, PAGE), "not inside of the file"),
        ((0, 0, 2**64 - PAGE), "not inside of the file"),
        ((2**40, 0, PAGE), "not inside of the range"),
        ((2**64 - PAGE, 0, PAGE), "not inside of the range"),
        ((PAGE, 0, PAGE), "overlaps another one"),
    ],
)
def test_a_bad_place_maps_nothing(two_files, place, message):
    addresses = _core.AddressRange(4 * PAGE)
    piece = addresses.map(two_files[0], [(PAGE, 0, PAGE)], False)
    with pytest.raises(ValueError, match=message):
        addresses.map(two_files[0], [(0, 0, PAGE), place] if "overlaps" in message else [place], False)
    assert len(mapped_lines(addresses)) == 1
    del piece


def test_a_view_takes_pieces_of_its_range_only(two_files):
    one, other = _core.AddressRange(PAGE), _core.AddressRange(PAGE)
    with pytest.raises(ValueError, match="pieces of another range"):
        _core.RangeView(one, [other.map(two_files[0], [(0, 0, PAGE)], False)])


def test_too_many_addresses_is_a_memory_error():
    with pytest.raises(MemoryError, match=r"vm\.max_map_count"):
        _core.AddressRange(2**60)


def test_too_many_mappings_is_a_memory_error(tmp_path):
    """In another process, whose address space is limited: the kernel answers as with too many mappings."""
    (tmp_path / "file").write_bytes(bytes(PAGE))
    code = f"""
import os, resource
from colonnade import _core
fd = os.open({str(tmp_path / "file")!r}, os.O_RDONLY)
most = int(open("/proc/sys/vm/max_map_count").read())
addresses = _core.AddressRange((2 * most + 2) * {PAGE})
try:
    addresses.map(fd, [(2 * i * {PAGE}, 0, {PAGE}) for i in range(most)], False)
except MemoryError as error:
    print(error)
left = [line for line in open("/proc/self/maps") if line.rstrip().endswith("/file")]
print(len(left))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "raise vm.max_map_count" in result
    assert result.splitlines()[-1] == "0"


def test_reserved_addresses_take_no_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    addresses = _core.AddressRange(2**40)
    assert len(addresses) == 2**40
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096
