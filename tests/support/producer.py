"""A process that changes stores on command. A command is a line of JSON; the answer comes when it is done."""

import json
import os
import shutil
import subprocess
import sys
import time

import pandas as pd

import colonnade as cn


class Producer:
    """Starts that process and sends it commands. A command can be delayed, so that the test waits before the change is made."""

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
    """Put a table; returns the time after the put, by the clock that all processes share."""
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
