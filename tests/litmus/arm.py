"""The ordering of growing tables under ARM's own memory model: `make litmus`.

`growing.cpp` checks the same rules under the model of C++, which does not let a load take the value of a later store of
its thread, and knows nothing of readers whose loads are plain: Arrow reads a footer's length and then what the length
leads to. ARM orders such loads, because one computes the address of the other.

Herd7, which checks such programs, is in no package of Debian. This file does what it would do with these: it goes
through every execution of a small program, and asks the axioms of ARMv8 whether the processor may make it (Pulte et
al., "Simplifying ARM Concurrency", POPL 2018: the axioms *internal* and *external*, for loads and stores of one size
without barriers and exclusives).

Each program has an outcome that must be impossible, and weaker variants in which it must be possible. Before them come
programs of which everybody knows what ARM does, so that the search itself is checked.
Does not depend on: the core itself. src/core/growing.h names the orders that are checked here.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

Registers = dict[str, int]


class W(NamedTuple):
    """A store. ``release``: `stlr`, else `str`."""

    place: str
    value: int
    release: bool = False


class R(NamedTuple):
    """A load into a register. ``acquire``: `ldar`, else `ldr`. A register in the place's braces computes the address."""

    register: str
    place: str
    acquire: bool = False

    @property
    def address(self) -> str | None:
        """The register that the address is computed from."""
        return self.place.partition("{")[2].partition("}")[0] or None


class Event(NamedTuple):
    """A load or a store of one execution; thread -1 has the values at the start."""

    thread: int
    number: int
    place: str
    value: int
    is_store: bool
    is_strong: bool  # stlr, ldar
    depends_on: int | None = None  # the number of the load that the address is computed from


class Program(NamedTuple):
    """Threads, the values at the start (0 where nothing is said), and what no execution may come to."""

    threads: tuple[tuple[W | R, ...], ...]
    start: dict[str, int]
    forbidden: Callable[[Registers], bool]


Pairs = set[tuple[Event, Event]]


def executions(program: Program) -> Iterator[tuple[list[Event], dict[Event, Event], Registers]]:
    """All events, which store each load takes its value from, and the registers at the end."""
    stores = [
        Event(thread, number, step.place, step.value, True, step.release)
        for thread, steps in enumerate(program.threads)
        for number, step in enumerate(steps)
        if isinstance(step, W)
    ]
    places = {store.place for store in stores} | set(program.start)
    stores += [Event(-1, n, place, program.start.get(place, 0), True, False) for n, place in enumerate(sorted(places))]
    loads = [
        (thread, number, step)
        for thread, steps in enumerate(program.threads)
        for number, step in enumerate(steps)
        if isinstance(step, R)
    ]

    def choose(
        at: int, taken: dict[Event, Event], registers: Registers
    ) -> Iterator[tuple[dict[Event, Event], Registers]]:
        if at == len(loads):
            yield taken, registers
            return
        thread, number, step = loads[at]
        place = step.place.format(**registers)
        depends_on = None
        if step.address is not None:
            depends_on = next(n for t, n, load in loads if t == thread and load.register == step.address)
        for store in stores:
            if store.place == place:
                load = Event(thread, number, place, store.value, False, step.acquire, depends_on)
                yield from choose(at + 1, {**taken, load: store}, {**registers, step.register: store.value})

    for taken, registers in choose(0, {}, {}):
        yield [*stores, *taken], taken, registers


def orders_of_stores(events: list[Event]) -> Iterator[Pairs]:
    """Every order in which the stores to each place may reach memory; the values at the start are there first."""
    by_place: dict[str, list[Event]] = {}
    for event in events:
        if event.is_store:
            by_place.setdefault(event.place, []).append(event)
    choices = []
    for stores in by_place.values():
        (first,) = (store for store in stores if store.thread < 0)
        others = [store for store in stores if store.thread >= 0]
        choices.append([(first, *order) for order in itertools.permutations(others)])
    for orders in itertools.product(*choices):
        yield {pair for order in orders for pair in itertools.combinations(order, 2)}


def is_possible(events: list[Event], taken: dict[Event, Event], coherence: Pairs) -> bool:
    """Whether ARM's axioms permit an execution."""
    program_order = {(a, b) for a in events for b in events if 0 <= a.thread == b.thread and a.number < b.number}
    same_place = {(a, b) for a, b in program_order if a.place == b.place}
    reads_from = {(store, load) for load, store in taken.items()}
    from_reads = {(load, later) for load, store in taken.items() for first, later in coherence if first == store}
    communication = reads_from | from_reads | coherence
    if has_cycle(same_place | communication):  # the axiom "internal"
        return False
    observed = {(a, b) for a, b in communication if a.thread != b.thread}
    local = {(a, b) for a, b in same_place if b.is_store}
    barriers = {
        (a, b)
        for a, b in program_order
        if (b.is_store and b.is_strong)  # before stlr
        or (not a.is_store and a.is_strong)  # after ldar
        or (a.is_store and a.is_strong and b.is_strong)  # from stlr to ldar
    }
    address = {(a, b) for a, b in program_order if b.depends_on == a.number and not a.is_store}
    address |= {(a, c) for a, b in address for b2, c in program_order if b == b2 and c.is_store}
    return not has_cycle(observed | local | barriers | address)  # the axiom "external"


def has_cycle(pairs: Pairs) -> bool:
    """Whether events follow each other in a circle."""
    following: dict[Event, list[Event]] = {}
    for a, b in pairs:
        following.setdefault(a, []).append(b)
    state: dict[Event, bool] = {}  # True: on the way that is followed now

    def leads_back(event: Event) -> bool:
        state[event] = True
        for after in following.get(event, []):
            if state.get(after, False) or (after not in state and leads_back(after)):
                return True
        state[event] = False
        return False

    return any(event not in state and leads_back(event) for event in list(following))


def search(program: Program) -> tuple[int, int]:
    """How many executions are possible, and how many of these come to what must not be."""
    possible = bad = 0
    for events, taken, registers in executions(program):
        if any(is_possible(events, taken, coherence) for coherence in orders_of_stores(events)):
            possible += 1
            bad += program.forbidden(registers)
    return possible, bad


# -- what is known of ARM ----------------------------------------------------------------------------------------------


def store_buffering(*, strong: bool) -> Program:
    """Both threads store, and neither sees the other's store."""
    threads = ((W("x", 1, strong), R("y", "y", strong)), (W("y", 1, strong), R("x", "x", strong)))
    return Program(threads, {}, lambda r: r["x"] == r["y"] == 0)


def load_buffering(*, strong: bool) -> Program:
    """Both threads load what the other one stores afterwards."""
    threads = ((R("x", "x"), W("y", 1, strong)), (R("y", "y"), W("x", 1, strong)))
    return Program(threads, {}, lambda r: r["x"] == r["y"] == 1)


def same_place() -> Program:
    """Two loads of one place, and the later one sees the older value."""
    threads = ((W("x", 1),), (R("first", "x"), R("second", "x")))
    return Program(threads, {}, lambda r: r["first"] == 1 and r["second"] == 0)


# -- the rules ---------------------------------------------------------------------------------------------------------


def publish(*, store: bool = True, load: bool = True) -> Program:
    """Rows, entry and dictionary, then the count. A reader loads the count, and then the rest."""
    return Program(
        (
            (
                W("dictionary", 3),
                W("row0", 1),
                W("entry", 1),
                W("segments", 2, release=True),
                W("row1", 2),
                W("count", 2, store),
            ),
            (
                R("count", "count", load),
                R("segments", "segments"),
                R("entry", "entry"),
                R("row0", "row0"),
                R("row1", "row1"),
                R("dictionary", "dictionary"),
            ),
        ),
        {},
        lambda r: r["count"] == 2 and [*r.values()] != [2, 2, 1, 1, 2, 3],
    )


def shared_byte(*values: int) -> Program:
    """Row 0 is published and its bit is set. The bit of row 1 is a leftover, and is to be clear."""
    stores = tuple(W("byte", value) for value in values)
    return Program(
        ((*stores, W("count", 2, release=True)), (R("count", "count", acquire=True), R("byte", "byte"))),
        {"byte": 0b11, "count": 1},
        lambda r: not r["byte"] & 1 or (r["count"] == 2 and bool(r["byte"] & 2)),
    )


def footer(*, store: bool = True, address: bool = True) -> Program:
    """Message and footer, then the footer's length. A reader of Arrow loads all of them plainly."""
    return Program(
        (
            (W("message1", 9), W("footer1", 1), W("length", 1, store)),
            (
                R("length", "length"),
                R("footer", "footer{length}" if address else "footer1"),
                R("message", "message{footer}" if address else "message1"),
            ),
        ),
        {"message0": 9, "footer0": 0},
        lambda r: r["length"] == 1 and (r["footer"] != 1 or r["message"] != 9),
    )


def entry(*, acquire: bool = True, unset: bool = True) -> Program:
    """An entry is replaced: its base is unset, the capacity changes, the base is set. A reader loads the base twice."""
    stores = (W("base", 9, release=True),) if unset else ()
    return Program(
        (
            (*stores, W("capacity", 2, release=True), W("base", 5, release=True)),
            (R("first", "base", acquire), R("capacity", "capacity", acquire), R("second", "base", acquire)),
        ),
        {"base": 4, "capacity": 1},
        lambda r: r["first"] == r["second"] and (r["first"], r["capacity"]) in ((4, 2), (5, 1)),
    )


def turns(*, load: bool = True) -> Program:
    """A reader that has the new number of the first row finds no older count of rows."""
    return Program(
        (
            (W("count", 5, release=True), W("first", 3, release=True)),
            (R("first", "first", load), R("count", "count", acquire=True)),
        ),
        {},
        lambda r: r["first"] == 3 and r["count"] < 5,
    )


RULES = {
    "known: store buffering, stlr and ldar": store_buffering(strong=True),
    "known: load buffering, stlr": load_buffering(strong=True),
    "known: two loads of one place": same_place(),
    "publish": publish(),
    "the byte that rows share": shared_byte(0b01),
    "footer": footer(),
    "an entry that is replaced": entry(),
    "first after the count": turns(),
}
WEAKER = {
    "known: store buffering": store_buffering(strong=False),
    "known: load buffering": load_buffering(strong=False),
    "publish, count stored plainly": publish(store=False),
    "publish, count loaded plainly": publish(load=False),
    "the byte, cleared and then filled": shared_byte(0, 0b01),
    "the byte, leftovers kept": shared_byte(0b11),
    "footer, length stored plainly": footer(store=False),
    "footer, places that do not follow from the length": footer(address=False),
    "an entry, loaded plainly": entry(acquire=False),
    "an entry, base not unset": entry(unset=False),
    "first, loaded plainly": turns(load=False),
}


def main() -> int:
    """Search all programs, and print the table."""
    failed = 0
    for programs, must_break in ((RULES, False), (WEAKER, True)):
        for name, program in programs.items():
            possible, bad = search(program)
            wrong = bool(bad) is not must_break
            failed += wrong
            verdict = f"{bad} of {possible} executions break it" if bad else f"holds in all {possible} executions"
            sys.stdout.write(f"{name:52}{verdict}{', and MUST NOT BE SO' if wrong else ''}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
