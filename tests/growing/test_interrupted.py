"""An exception at any line of an append, as Ctrl-C raises it: all rows or none, and the appender goes on or says why."""

import os
import sys
from functools import partial

import pytest

import colonnade as cn
from colonnade.format.stripes import STRIPE
from growing import rows

HERE = os.path.dirname(cn.__file__)


class Interrupted(BaseException):
    """What the handler raises."""


def interrupt(function, at):
    """Run a function, and raise before the line of Colonnade's that has this number; whether there was one."""
    count = 0

    def on_line(_frame, event, _argument):
        nonlocal count
        if event == "line":
            count += 1
            if count == at:
                raise Interrupted
        return on_line

    def on_call(frame, _event, _argument):
        return on_line if frame.f_code.co_filename.startswith(HERE) else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        function()
    except Interrupted:
        return True
    finally:
        sys.settrace(before)
    return False


def go_on(store, log, before, after):
    """See that all rows of the batch are there or none, and append more: by this appender, or by another one."""
    frame = rows.verify_pandas(store.get("t")).stop
    assert frame in (before, after)
    try:
        assert log.append(rows.make(frame, frame + 11)) == frame + 11
    except (
        cn.ReentrantCallError
    ):  # the tracer raised before the assignment that ends an append; a signal handler cannot
        log.close()
        with store.appender("t") as other:
            assert other.append(rows.make(frame, frame + 11)) == frame + 11
    assert rows.verify_pandas(store.get("t")).stop == frame + 11
    return frame


@pytest.mark.slow
def test_at_every_line_of_an_append(folder):
    store = cn.Store(folder / "store")
    log = store.appender("t", like=rows.make(0, 1))
    start, lines = log.append(rows.make(0, 21)), set()
    for at in range(1, 2_000):
        batch = rows.make(start, start + 5)
        was_interrupted = interrupt(partial(log.append, batch), at)
        lines.add(go_on(store, log, start, start + 5) == start + 5)
        if not was_interrupted:
            break
        try:
            start = log.append(rows.make(log.num_rows, log.num_rows + 1))
        except (ValueError, cn.ReentrantCallError):  # it was closed, or refuses for the same reason as above
            log = store.appender("t")
            start = log.num_rows
    assert not was_interrupted, "an append has more lines than that"
    assert lines == {False, True}
    log.close()
    visible = [rows.verify_arrow(rows.read_file(path)) for path in rows.segments_of(store, "t")]
    assert visible[-1].stop == start + 16
    assert store.check() == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_at_lines_of_an_append_into_another_segment(folder, part):
    store = cn.Store(folder / "store")
    edge = STRIPE - 2
    for at in range(1 + part, 2_000, 36):
        with store.appender("t", like=rows.make(0, 1), retain=8) as log:
            log.append(rows.make(0, edge))
            batch = rows.make(edge, edge + 5)
            was_interrupted = interrupt(partial(log.append, batch), at)
            go_on(store, log, edge, edge + 5)
        visible = [rows.verify_arrow(rows.read_file(path)) for path in rows.segments_of(store, "t")]
        assert visible[-1].stop == store.open("t").version
        store.delete("t")
        if not was_interrupted:
            break
