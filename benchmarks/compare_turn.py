"""One turn of the comparison: a publisher, readers, and what they measured (`benchmarks.compare`).

Does not depend on: which ways are compared on which frames; how a way works.
"""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.environments import NotInstalledError, python_for
from benchmarks.rivals import serving

ROOT = Path(__file__).parent.parent
PATIENCE = 30  # seconds for one step of a process
ENOUGH = 4  # seconds of publishing, and of reading, in one turn; a slow way is done at least twice
PUBLISHES = 5
Figures = dict[str, Any]


class FailedError(Exception):
    """A process of a rival reported an error, ended, or took too long."""


class Worker:
    """A process of `benchmarks.compare_process`."""

    def __init__(self, python: str, role: str, name: str, folder: Path, file: Path) -> None:
        command = [python, "-m", "benchmarks.compare_process", role, name, str(folder), str(file)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True
        )
        self._ready = False

    def ready(self) -> Worker:
        """Wait until it has started: a publisher has the frame then, and has published a tiny one."""
        if not self._ready:
            self.answer()
            self._ready = True
        return self

    def do(self, command: str) -> Figures:
        self.send(command)
        return self.answer()

    def send(self, command: str) -> None:
        self.ready()
        assert self._process.stdin
        try:
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise FailedError("the process has ended") from error

    def answer(self) -> Figures:
        output = self._process.stdout
        if not output or output.closed:
            raise FailedError("the process was killed")
        if not select.select([output], [], [], PATIENCE)[0]:
            self.kill()
            raise FailedError(f"no answer within {PATIENCE} s")
        line = output.readline()
        if not line:
            code = self._process.wait()
            raise FailedError(f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}")
        answer: Figures = json.loads(line)
        if "error" in answer:
            raise FailedError(answer["error"])
        return answer

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe:
                    pipe.close()


def shared_memory() -> int:
    """The bytes of shared memory on this machine: tmpfs files, mapped or not, and segments without a name."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Shmem:"))


class Turn:
    """One turn of one rival on one frame: a publisher, readers, and a folder for both."""

    def __init__(self, name: str, folder: Path, file: Path) -> None:
        self._name, self._folder, self._file = name, folder, file
        self._python = python_for(name)
        self._workers: list[Worker] = []
        self.figures: Figures = {}

    def _worker(self, role: str) -> Worker:
        self._workers.append(Worker(self._python, role, self._name, self._folder, self._file))
        return self._workers[-1]

    def run(self, readers: int, publishes: int, survival: bool) -> None:
        """Measure; what was measured before an error stays in `figures`. With one reader, no frames are compared.

        All processes have started and have opened a tiny frame before the first publish: nothing else runs beside it.
        """
        try:
            publisher = self._worker("publisher")
            waiting = [self._worker("reader") for _ in range(readers)]
            publisher.ready()
            for worker in waiting:
                worker.send("warm")
            for worker in waiting:
                worker.answer()
            before = shared_memory()
            self._publish(publisher, publishes)
            reading = self._read(waiting, max(shared_memory() - before, 0))
            if survival:
                self.figures["survival"] = self._survive(publisher, reading)
        except FailedError as error:
            self.figures["error"] = str(error)
        finally:
            for worker in self._workers:
                worker.kill()

    def _publish(self, publisher: Worker, publishes: int) -> None:
        times = [publisher.do("publish")["seconds"]]
        while len(times) < publishes and (len(times) < 2 or sum(times) < ENOUGH):
            times.append(publisher.do("publish")["seconds"])
        # The second needs new memory too: the first one is there until the second replaces it.
        self.figures |= {"publish": times[:1], "again": times[2:] or times[1:]}

    def _read(self, readers: list[Worker], shared: int) -> list[Worker]:
        """Let one after the other open and scan it, at least two of many. Gives those that did."""
        private = 0
        end = time.monotonic() + ENOUGH
        figures: Figures = {key: [] for key in ("open", "scan", "private", "cell")}
        machine: dict[str, int] = {}
        self.figures |= figures | {"machine": machine}
        for count, reader in enumerate(readers, 1):
            if count > 2 and time.monotonic() > end:
                readers = readers[: count - 1]
                break
            opening = reader.do("open")
            for key in ("open", "scan", "private"):
                figures[key].append(opening[key])
            private += opening["private"]
            machine[str(count)] = shared + private
        if len(readers) > 1:
            differences = readers[-1].do("compare")
            self.figures["dtypes"] = differences["dtypes"]
            if differences["values"]:
                self.figures["error"] = f"other values: {', '.join(differences['values'][:6])}"
        written = readers[-1].do("write")
        figures["cell"].append(written["cell"])
        if written.get("refused"):
            self.figures["refused"] = written["refused"]
        if len(readers) > 1:
            self.figures["seen by others"] = readers[0].do("read") != {"number": opening["number"]}
        return readers

    def _survive(self, publisher: Worker, readers: list[Worker]) -> dict[str, bool]:
        def opens() -> bool:
            reader = self._worker("reader")
            try:
                reader.do("warm")
                reader.do("open")
            except FailedError:
                return False
            return True

        survival = {}
        readers[-1].kill()
        survival["a reader is killed: new readers open it"] = opens()
        publisher.kill()
        time.sleep(0.2)
        try:
            readers[0].do("read")
            survival["the publisher is killed: readers read on"] = True
        except FailedError:
            survival["the publisher is killed: readers read on"] = False
        survival["the publisher is killed: new readers open it"] = opens()
        return survival


@contextlib.contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder in shared memory, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="rivals-", dir="/dev/shm"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def turn(name: str, file: Path, readers: int, publishes: int = PUBLISHES, survival: bool = False) -> Figures:
    """One turn, and how long it took; errors are part of what it gives."""
    start = time.monotonic()
    figures = _turn(name, file, readers, publishes, survival)
    return figures | {"took": round(time.monotonic() - start, 1)}


def _turn(name: str, file: Path, readers: int, publishes: int, survival: bool) -> Figures:
    with shared_folder() as folder:
        try:
            measured = Turn(name, folder, file)
        except NotInstalledError as error:
            return {"error": str(error)}
        python = sys.executable
        sys.executable = python_for(name)  # a server runs in the rival's own environment
        try:
            with serving(name, folder):
                sys.executable = python
                measured.run(readers, publishes, survival)
        except (OSError, subprocess.SubprocessError) as error:
            measured.figures["error"] = f"its server does not start: {error}"
        finally:
            sys.executable = python
        return measured.figures
