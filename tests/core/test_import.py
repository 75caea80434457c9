"""An exception during the import of the core is raised, and never ends the process."""

import enum
import signal
import subprocess
import sys

import colonnade
from colonnade import _core

# The core asks the package for the number of its interface; this is a package that has nothing else.
PACKAGE = f"""
import sys, types
sys.modules["colonnade"] = package = types.ModuleType("colonnade")
package.__path__ = {colonnade.__path__!r}
package._CORE_INTERFACE = {colonnade._CORE_INTERFACE}
"""

# A child for each delay. Its handler raises after that many microseconds, in the middle of the import or behind it.
INTERRUPTED = """
import os, signal, sys, time
from importlib import machinery, util
path = sys.argv[1]

def load():
    loader = machinery.ExtensionFileLoader("_core", path)
    spec = util.spec_from_file_location("_core", path, loader=loader)
    module = util.module_from_spec(spec)
    loader.exec_module(module)

started = time.perf_counter()
if os.fork() == 0:
    load()
    os._exit(0)
os.wait()
whole = time.perf_counter() - started
ends = []
for number in range(300):
    if os.fork() == 0:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + whole * number / 300)
            load()
            os._exit(0)
        except KeyboardInterrupt:
            os._exit(1)
    ends.append(os.waitstatus_to_exitcode(os.wait()[1]))
print(*ends)
"""


def test_an_interrupt_while_the_core_is_imported_is_an_exception():
    command = [sys.executable, "-c", PACKAGE + INTERRUPTED, _core.__file__]
    process = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    ends = [int(end) for end in process.stdout.split()]
    assert len(ends) == 300
    # SIGINT is Python's own end where nothing catches a KeyboardInterrupt, as while another error is printed.
    signals = {signal.Signals(-end) for end in ends if end < 0} - {signal.SIGINT}
    assert not signals, process.stderr[-2000:]
    assert 1 in ends, "no child was interrupted"


def test_the_core_makes_no_enumeration_itself():
    """nanobind's enumerations would run Python code in a place where an exception ends the process."""
    assert [name for name, value in vars(_core).items() if isinstance(value, enum.EnumMeta)] == []


def test_a_core_of_another_version_says_what_to_do():
    program = f"{PACKAGE}package._CORE_INTERFACE += 1\nimport colonnade._core"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert process.stderr.endswith(
        "ImportError: the compiled core does not belong to this version of the package; pip install -e .\n"
    )
