"""A process that changes stores as it is told: one JSON line a command, answered when it is done."""

import json
import os
import shutil
import subprocess
import sys
import time

import pandas as pd

import colonnade as cn


class Producer:
    """That process, for tests; the time a command waits before it is done lets the test wait for what it does."""

    def __init__(self):
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, store, what, *args, after=0.0):
        self.start(store, what, *args, after=after)
        return self.done()

    def start(self, store, what, *args, after=0.05):
        self._process.stdin.write(json.dumps([str(store.path), what, args, after]) + "\n")
        self._process.stdin.flush()

    def done(self):
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait() == 0


def put(store, name, n):
    """When it had returned, by the clock that all processes have."""
    store.put(name, pd.DataFrame({"n": [n]})).close()
    return time.monotonic()


def delete(store, name):
    store.delete(name)


def remove(store):
    shutil.rmtree(store.path)


def rename(store, source, target):
    os.rename(source, target)


def main():
    for line in sys.stdin:
        path, what, args, after = json.loads(line)
        time.sleep(after)
        sys.stdout.write(json.dumps(globals()[what](cn.Store(path), *args)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
