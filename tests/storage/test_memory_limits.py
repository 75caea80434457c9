"""Memory limits of control groups, and file systems without a size: a put is stored or refused, and never killed."""

import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

import colonnade as cn
from colonnade.storage import capacity, memory_limits, room, spares
from support import control_groups

MIB = 1 << 20
LIMIT = 400 * MIB


@pytest.fixture
def group():
    with control_groups.limited(LIMIT) as group:
        yield group


PUTS = """
import json, random
import colonnade as cn, numpy as np, pandas as pd
random.seed(int(sys.argv[6]))
store, outcomes = cn.Store(sys.argv[1]), []
frame = pd.DataFrame({"x": np.zeros(90 << 17)})
for number in range(int(sys.argv[2])):
    rows = random.randrange(int(sys.argv[3]) << 17, int(sys.argv[4]) << 17)
    try:
        store.put(sys.argv[5].format(number), frame.iloc[:rows]).close()
        outcomes.append("")
    except cn.StoreFullError as error:
        outcomes.append(str(error))
print(json.dumps(outcomes))
"""


@pytest.mark.slow
@pytest.mark.privileged("disks")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_puts_under_one_name_are_not_killed(folder, group, seed):
    """Forty puts of 30 to 90 MiB under a limit of 400 MiB: spares may not take what the next put needs.

    With spares of an eighth of the file system, the process was killed with seed 2.
    """
    process = control_groups.run(group, PUTS, folder / "s", 40, 30, 90, "t", seed)
    assert not control_groups.was_killed(process), "the kernel killed the process"
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout) == [""] * 40


@pytest.mark.slow
@pytest.mark.privileged("disks")
def test_a_table_that_the_limit_has_no_room_for_is_refused(folder, group):
    """Tables that stay, until the limit is reached: the error names the limit, the file that sets it, and the way out."""
    process = control_groups.run(group, PUTS, folder / "s", 12, 40, 41, "t{}", 1)
    assert not control_groups.was_killed(process), "the kernel killed the process"
    outcomes = json.loads(process.stdout)
    refusals = [text for text in outcomes if text]
    assert outcomes[0] == ""
    assert refusals
    assert outcomes.index(refusals[0]) >= 4, "the room that there was has been used"
    for words in ("memory limit", str(group), "400.0MiB", "nothing was stored", "docker run --memory"):
        assert words in refusals[0]
    store = cn.Store(folder / "s")
    assert len(store.ls()) == outcomes.count("")
    assert store.check() == []


@pytest.mark.privileged("disks")
def test_spares_are_limited_by_the_memory_limit(folder, group):
    program = "import json; from colonnade.storage import spares; fd = os.open(sys.argv[1], 0); print(spares.default_limit(fd))"
    process = control_groups.run(group, program, folder)
    assert int(process.stdout) == LIMIT // 8


@pytest.mark.privileged("disks")
def test_a_limit_above_the_own_group_counts(folder, group):
    """The process's own group has no limit; the group above it has one."""
    inner = group / "inner"
    inner.mkdir()
    try:
        program = "from colonnade.storage import memory_limits as m; print(m.least_limit(), m.tightest().file)"
        process = control_groups.run(inner, program)
        limit, file = process.stdout.split()
        assert int(limit) == LIMIT
        assert Path(file).parent == group
    finally:
        inner.rmdir()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """The files of version 2, as the kernel writes them, in a folder: three groups, mounted below /a."""
    place = tmp_path / "cgroup mount"
    groups = {"": (None, None), "b": ("1000000", 300_000), "b/c": ("max", 200_000), "b/c/d": ("500000", 450_000)}
    for name, (limit, usage) in groups.items():
        folder = place / name
        folder.mkdir(parents=True)
        if limit:
            (folder / "memory.max").write_text(f"{limit}\n")
            (folder / "memory.current").write_text(f"{usage}\n")
            (folder / "memory.stat").write_text(
                "anon 1\nfile 400000\ninactive_file 100000\nactive_file 50000\nshmem 250000\n"
            )
    process = tmp_path / "process"
    process.mkdir()
    escaped = str(place).replace(" ", "\\040")
    (process / "mountinfo").write_text(
        f"31 23 0:28 / /proc rw - proc proc rw\n32 31 0:29 /a {escaped} rw,relatime shared:1 - cgroup2 cgroup2 rw\n"
    )
    monkeypatch.setattr(memory_limits, "_SELF", process)

    def enter(path):
        (process / "cgroup").write_text(f"0::{path}\n")
        memory_limits._limits_at.cache_clear()  # a second has passed
        return place

    return enter


def test_version_2(tree):
    place = tree("/a/b/c/d")
    assert memory_limits.least_limit() == 500_000
    assert memory_limits.tightest() == (place / "b/c/d/memory.max", 500_000, 50_000)
    # The cache of files counts as free where it is needed; the pages of a store in memory (shmem) do not.
    assert memory_limits.tightest(size=60_000) == (place / "b/c/d/memory.max", 500_000, 200_000)
    place = tree("/a/b/c")
    assert memory_limits.tightest() == (place / "b/memory.max", 1_000_000, 700_000)


@pytest.mark.parametrize("path", ["/elsewhere", "/", "/a/../../x", "/a/gone"])
def test_version_2_in_a_group_that_is_not_mounted(tree, path):
    """As in a container that sees only a part of the tree: the mounted part counts, and its root has no limit."""
    tree(path)
    assert memory_limits.tightest() is None
    assert memory_limits.least_limit() is None


def test_without_control_groups(monkeypatch, tmp_path, folder):
    monkeypatch.setattr(memory_limits, "_SELF", tmp_path)
    fd = os.open(folder, os.O_RDONLY)
    try:
        assert room.room(fd).limit is None
        assert spares.default_limit(fd) == os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize // 8
    finally:
        os.close(fd)


@pytest.mark.privileged("mounts")
@pytest.mark.parametrize(("kind", "options"), [("tmpfs", "size=0,mode=700"), ("ramfs", "mode=700")])
def test_a_file_system_without_a_size_is_unlimited(folder, kind, options):
    place = folder / "mounted"
    place.mkdir()
    if subprocess.run(["mount", "-t", kind, "-o", options, "none", place], check=False, capture_output=True).returncode:
        pytest.skip(f"{kind} cannot be mounted here")
    try:
        store = cn.Store(place / "s")
        frame = pd.DataFrame({"x": range(400_000)})
        for _ in range(3):
            store.put("t", frame).close()
        store.put("small", frame.head(3)).close()
        assert store.get("t").equals(frame)
        assert store.usage().free > 0
        assert store.check() == []
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.privileged("mounts")
def test_a_small_shared_memory_names_its_option(folder):
    place = folder / "shm"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "none", place], check=True)
    try:
        with pytest.raises(cn.StoreFullError, match=r"bytes free and the table needs .*--shm-size"):
            cn.Store(place / "s").put("t", pd.DataFrame({"x": range(2_000_000)}))
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def version_2(tmp_path):
    """A group of version 2, of the kernel's own file system."""
    place = tmp_path / "cgroup2"
    place.mkdir()
    if subprocess.run(["mount", "-t", "cgroup2", "none", place], check=False, capture_output=True).returncode:
        pytest.skip("cgroup2 cannot be mounted here")
    group = place / f"colonnade-test-{os.getpid()}"
    try:
        (group / "inner").mkdir(parents=True)
        yield group / "inner"
        (group / "inner").rmdir()
        group.rmdir()
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.privileged("disks")
def test_version_2_of_the_kernel(version_2, folder):
    """The folders are found where the kernel mounts them. Most machines set no memory limits there, because version 1 has them."""
    program = """
import json, os
import colonnade as cn, pandas as pd
from colonnade.storage import memory_limits
store = cn.Store(sys.argv[1])
store.put("t", pd.DataFrame({"x": [1]})).close()
print(json.dumps([folder for folder, files in memory_limits._groups() if files.limit == "memory.max"]))
"""
    process = control_groups.run(version_2, program, folder / "s")
    assert process.returncode == 0, process.stderr
    assert [str(version_2), str(version_2.parent)] == [
        folder for folder in json.loads(process.stdout) if folder.startswith(str(version_2.parent))
    ]
    if (version_2 / "memory.max").exists():
        (version_2 / "memory.max").write_text(str(LIMIT))
        process = control_groups.run(version_2, PUTS, folder / "s", 3, 90, 91, "t{}", 1)
        assert not control_groups.was_killed(process)


def test_a_refusal_says_what_is_missing():
    """There may be less room than a fetch needs to receive a table, also where a spare has room for the table itself."""
    limit = memory_limits.MemoryLimit(Path("memory.max"), 64 * MIB, 22 * MIB)
    usage = cn.Store("/dev/shm/none").usage()
    error = capacity.refuse_for_room(Path("/dev/shm/s"), 0, room.Room(-10 * MIB, limit), usage, 32 * MIB)
    words = "leaves 23,068,672 bytes and the table needs 0 beside the 32.0MiB of memory that it takes to receive it"
    assert words in str(error)
