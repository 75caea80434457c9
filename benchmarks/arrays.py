"""How fast a NumPy array gets into a store and out of it: a part of ``python -m benchmarks.handoff``.

`TARGETS` says what is promised, `STEPS` measures it.
Does not depend on: how it is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median

import numpy as np

from benchmarks.figures import Figure, Run, Target
from benchmarks.measure import seconds

PAIRS, WARM, OPENS = 15, 3, 301

TARGETS = {
    "put_array": Target("put a 200 MB array again and again, against np.copy of it", 1, "x", "faster: below 1x"),
    "open_array": Target("open it as NumPy, warm process", 0.3, " ms", "at most 0.3 ms"),
}


def put_and_open(run: Run) -> dict[str, Figure]:
    """Put 200 MB of rows of 128 in turns with NumPy's copy, into fresh memory and onto warm pages; then open."""
    array = np.random.default_rng(1).standard_normal((200_000_000 // 1024, 128))
    warm = np.empty_like(array)
    store = run.store
    puts: list[float] = []
    copies: list[float] = []
    onto: list[float] = []
    for number in range(-WARM, PAIRS):
        took = (
            seconds(lambda: store.put("array", array).close())[0],
            seconds(lambda: array.copy().shape)[0],
            seconds(np.copyto, warm, array)[0],
        )
        if number >= 0:
            for times, one in zip((puts, copies, onto), took, strict=True):
                times.append(one)
    opens = [seconds(_open, run)[0] for _ in range(OPENS)]
    store.delete("array")
    ratio = median(put / copy for put, copy in zip(puts, copies, strict=True))
    note = (
        f"{median(puts) * 1e3:.3g} ms against {median(copies) * 1e3:.3g} ms; "
        f"{median(onto) * 1e3:.3g} ms onto pages that are there already"
    )
    return {
        "put_array": Figure(ratio, array.nbytes, note),
        "open_array": Figure(median(opens) * 1e3, 0, f"at most {max(opens) * 1e3:.3g} ms"),
    }


def _open(run: Run) -> tuple[int, ...]:
    with run.store.open("array") as snapshot:
        return snapshot.to_numpy().shape


STEPS: Iterable[Callable[[Run], dict[str, Figure]]] = (put_and_open,)
