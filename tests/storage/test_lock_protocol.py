"""The lock is a folder that its holder may remove: every interleaving of three processes, searched; and mutations that must break it.

The protocol of `storage/directory.py`, in steps that the kernel makes atomic: open the folder by its name (or make it), flock what was
opened, see that the name still leads to it, work, maybe remove the folder, unlock. A removed folder keeps its inode for those that
have it open.
"""

import pytest

PROCESSES = 3
NONE = -1


def search(*, check=True, remove_last=True):
    """Search all states; returns whether two processes ever work at the same time."""
    # A state: which inode the name leads to, who has each inode locked, the next free inode, each process' (step, inode).
    start = (NONE, (), ("open",) * PROCESSES, (NONE,) * PROCESSES)
    states, todo = {start}, [start]
    while todo:
        state = todo.pop()
        if sum(step in ("work", "work removed") for step in state[2]) > 1:
            return state
        for following in steps(state, check=check, remove_last=remove_last):
            if following not in states:
                states.add(following)
                todo.append(following)
    assert len(states) > 500
    return None


def steps(state, *, check, remove_last):
    name, locks, at, have = state
    for who in range(PROCESSES):
        step, inode = at[who], have[who]

        def moved(step, inode=inode, name=name, locks=locks, who=who):
            return name, locks, replaced(at, who, step), replaced(have, who, inode)

        if step == "open":
            if name == NONE and len(locks) < 4:  # made; more inodes than that show nothing new
                yield moved("lock", inode=len(locks), name=len(locks), locks=(*locks, NONE))
            elif name != NONE:
                yield moved("lock", inode=name)
        elif step == "lock" and locks[inode] == NONE:
            yield moved("check" if check else "work", locks=replaced(locks, inode, who))
        elif step == "check":
            if name == inode:
                yield moved("work")
            else:
                yield moved("open", inode=NONE, locks=replaced(locks, inode, NONE))
        elif step == "work":
            yield moved("open", inode=NONE, locks=replaced(locks, inode, NONE))
            if name == inode:  # gc, delete: it removes the folder
                yield moved("removed" if remove_last else "work removed", name=NONE)
        elif step == "work removed":  # a mutation: it goes on working
            yield moved("removed")
        elif step == "removed":
            yield moved("open", inode=NONE, locks=replaced(locks, inode, NONE))


def replaced(items, index, value):
    return (*items[:index], value, *items[index + 1 :])


def test_no_two_hold_it():
    assert search() is None


@pytest.mark.parametrize("mutation", ["check", "remove_last"])
def test_each_step_is_needed(mutation):
    assert search(**{mutation: False}) is not None
