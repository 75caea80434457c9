"""A PostgreSQL server for one test module: Debian's programs, a private folder with a socket, and no port."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import pytest


def programs():
    """The folder of the newest server that is installed; skips, or fails under COLONNADE_DATABASES=all."""
    result = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if not result and (elsewhere := shutil.which("postgres")):
        result = [Path(elsewhere)]
    if not result:
        say = pytest.fail if os.environ.get("COLONNADE_DATABASES") == "all" else pytest.skip
        say("PostgreSQL is not installed (Debian: postgresql)")
    return result[-1].resolve().parent


class Server:
    def __init__(self):
        self.programs = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="colonnade-pg-", dir="/tmp"))  # a socket's path is short
        self.user, self.process = None, None
        if os.geteuid() == 0:  # which the server refuses to be
            self.user = next(user for user in pwd.getpwall() if user.pw_name in ("postgres", "nobody"))
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.url = f"postgresql:///postgres?host={self.folder}&user=tester"
        self.run("initdb", "--auth=trust", "--username=tester", "--no-sync", "--no-locale", "--encoding=UTF8")
        self.start()

    def run(self, program, *args, run=subprocess.check_output, **options):
        identity = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        command = [self.programs / program, "-D", self.folder / "data", *args]
        return run(command, stderr=subprocess.STDOUT, cwd="/", **identity, **options)

    def start(self):
        log = (self.folder / "log").open("ab")
        settings = ("-F", "-k", self.folder, "-c", "listen_addresses=", "-c", "dynamic_shared_memory_type=mmap")
        self.process = self.run("postgres", *settings, run=subprocess.Popen, stdout=log)
        log.close()
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)

    def answers(self):
        ready = [self.programs / "pg_isready", "-q", "-h", self.folder]
        return subprocess.run(ready, check=False).returncode == 0

    def kill(self):
        """Kill the server and all its children with SIGKILL."""
        server = psutil.Process(self.process.pid)
        server.suspend()  # it would start others
        everybody = [*server.children(recursive=True), server]
        for process in everybody:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        psutil.wait_procs(everybody)

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # which leaves no shared memory behind
            self.process.wait()
        shutil.rmtree(self.folder)
