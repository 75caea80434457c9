"""0, 1, 2, ... free descriptors: each verb of growing tables is done, or raises and changes nothing; an appender goes on."""

import pytest

import colonnade as cn
from colonnade.format.stripes import STRIPE
from growing import rows
from support.descriptors import descriptors, only_free

START = STRIPE - 2


class Table:
    """A growing table that is two rows short of another segment, and who uses it."""

    def __init__(self, store):
        self.store = store
        self.log = store.appender("t", like=rows.make(0, 1), retain=8)
        self.log.append(rows.make(0, START))
        store.appender("idle", like=rows.make(0, 1)).close()

    @property
    def rows(self):
        return self.store.open("t").version

    def read(self):
        rows.verify_pandas(self.store.get("t"))
        rows.verify_pandas(self.store.latest("t").frame)
        with self.store.follow("t", start="first", timeout=0) as follow, next(follow) as new:
            rows.verify_arrow(new.to_arrow())

    def row(self):
        self.log.row(**rows.make(START, START + 1).iloc[0].to_dict())


VERBS = {
    "append": (1, lambda table: table.log.append(rows.make(START, START + 1))),
    "row": (1, Table.row),
    "append into another segment": (7, lambda table: table.log.append(rows.make(START, START + 7))),
    "flush": (0, lambda table: table.log.flush()),
    "open": (0, lambda table: table.store.appender("idle").close()),
    "create": (0, lambda table: table.store.appender("new", like=rows.make(0, 1)).close()),
    "read": (0, Table.read),
    "delete": (0, lambda table: table.store.delete("idle")),
}


@pytest.mark.parametrize("verb", VERBS)
def test_few_descriptors(folder, verb):
    added, act = VERBS[verb]
    warm = Table(cn.Store(folder / "warm"))  # what is imported at the first use needs descriptors too
    act(warm)
    warm.read()
    warm.log.close()
    table = Table(cn.Store(folder / "store"))
    for free in range(40):
        before = len(descriptors())
        with only_free(free):
            try:
                act(table)
            except cn.ColonnadeError:
                is_done = False
            else:
                is_done = True
        assert len(descriptors()) == before
        assert table.rows == START + added * is_done
        if is_done:
            break
    assert is_done
    result = table.log.num_rows
    assert table.log.append(rows.make(result, result + 11)) == result + 11
    table.read()
    table.log.close()
    assert table.store.check() == []
