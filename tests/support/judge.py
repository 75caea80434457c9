"""What an error of a wrong call may be, and a limit of time for each call."""

import contextlib
import signal

import colonnade as cn

# Exactly these, beside the library's own: a KeyError is a LookupError that says nothing, an ArrowInvalid is PyArrow's.
PLAIN = (TypeError, ValueError, FileNotFoundError, PermissionError, MemoryError)

SECONDS = 90  # the machine may do something else for a while


class WrongError(Exception):
    """A call that broke one of the rules."""


def consume(result):
    """Use the result of a call briefly."""
    if isinstance(result, cn.Watch):
        with contextlib.closing(result):
            next(result, None)
    elif isinstance(result, cn.Latest):
        result.snapshot()
    elif hasattr(result, "__enter__") and not isinstance(result, cn.Snapshot):
        with result:
            pass
    elif type(result).__name__ == "DuckDBPyRelation":
        result.fetchall()


def judge(error, text="", named=()):
    """What is wrong with an error. ``named``: other errors that the docstring names."""
    if isinstance(error, (cn.ColonnadeError, *named)) or type(error) in PLAIN or "the producer fails" in str(error):
        try:
            message = str(error)
        except Exception as failure:
            return [f"the message of {type(error).__name__} fails: {failure!r}"]
        return [] if len(message) < 8000 else [f"a message of {len(message)} characters"]
    return [f"{type(error).__name__}: {str(error)[:300]}\n{text}"]


@contextlib.contextmanager
def limited(seconds=SECONDS):
    """Raise WrongError in a call that does not return."""

    def late(*_):
        raise WrongError(f"it did not return in {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
