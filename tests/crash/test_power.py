"""A power failure, simulated: what is on the disk at one moment is copied, mounted and checked.

A file system on a loop device writes to a file. That file, copied while the file system is in use, holds what had reached the disk,
and nothing of what the kernel still has in memory; mounting the copy replays the journal, as after a power failure.
"""

import contextlib
import os
import shutil
import subprocess

import pytest

import colonnade as cn
from support import payload

pytestmark = [pytest.mark.slow, pytest.mark.privileged("disks")]

FILE_SYSTEMS = {
    "ext4": (["mkfs.ext4", "-q", "-F"], "loop", 64),
    "ext4 without auto_da_alloc": (["mkfs.ext4", "-q", "-F"], "loop,noauto_da_alloc", 64),
    "xfs": (["mkfs.xfs", "-q", "-f"], "loop,nouuid", 320),
}
ROWS = 60_000  # 2.5 MB


@contextlib.contextmanager
def mounted(image, place, options):
    place.mkdir()
    subprocess.run(["mount", "-o", options, image, place], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        place.rmdir()


@pytest.fixture(params=FILE_SYSTEMS)
def disk(request, tmp_path):
    """A mounted disk, and a function that returns the contents of a store on it after a power failure."""
    make, options, size = FILE_SYSTEMS[request.param]
    if shutil.which(make[0]) is None:
        pytest.skip(f"{make[0]} is not installed")
    image, copy = tmp_path / "image", tmp_path / "copy"
    with image.open("wb") as file:
        file.truncate(size << 20)
    subprocess.run([*make, image], check=True, capture_output=True)
    with mounted(image, tmp_path / "disk", options) as place:

        def after_a_failure():
            subprocess.run(["cp", "--sparse=always", image, copy], check=True)
            with mounted(copy, tmp_path / "after", options) as result:
                store = cn.Store(result / "s")
                problems = store.check()
                tables = {}
                for info in store.ls():
                    with store.open(info.name) as snapshot:
                        tables[info.name] = payload.verify_pandas(snapshot.to_pandas())["seed"]
                return tables, problems, store.settings

        yield place, after_a_failure


def test_durable_keeps_what_it_says(disk):
    place, after_a_failure = disk
    store = cn.Store(place / "s", durable=True)
    for seed in (1, 2, 3):
        store.put("a/b/t", payload.make(seed, ROWS)).close()
        assert after_a_failure()[:2] == ({"a/b/t": seed}, [])
    store.put("u", payload.make(4, 50)).close()
    store.delete("a/b/t")
    assert after_a_failure()[:2] == ({"u": 4}, [])
    store.configure(capacity="32MiB")
    assert after_a_failure()[2].capacity == 32 << 20


def test_without_durable_a_version_is_old_or_new_or_known_to_be_broken(disk, request):
    """ext4 writes a file's data before a rename over another file. With noauto_da_alloc, and on XFS, it does not: the name may
    lead to a file whose data never came to the disk. A reader refuses the file, and never reads wrong values."""
    place, after_a_failure = disk
    store = cn.Store(place / "s", durable=True)
    store.put("t", payload.make(1, ROWS)).close()
    loose = cn.Store(place / "s")
    for seed in (2, 3, 4):
        loose.put("t", payload.make(seed, ROWS)).close()
        with (place / "other").open("w") as other:  # another program's sync commits the journal, the rename in it
            other.write("x")
            other.flush()
            os.fsync(other.fileno())
        tables, problems, _ = after_a_failure()
        if problems and request.node.callspec.params["disk"] != "ext4":
            assert [problem.path.name for problem in problems] == ["t.arrow"]
            assert tables == {}
        else:
            assert problems == []
            assert tables["t"] in range(1, seed + 1)
