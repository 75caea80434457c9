"""Rich and Typer are the extra ``cli``. Everything except the command line works without them."""

import subprocess
import sys

import pandas as pd
import pytest

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("rich", "typer", "click", "shellingham"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def run(program, *args, **options):
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + program, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_reprs_are_plain_text(store):
    with store.put("nyc/flights", pd.DataFrame({"n": [1, 2], "day": [pd.Timestamp("2013-01-01").date()] * 2})):
        process = run(
            "import colonnade as cn\nstore = cn.Store(sys.argv[1]); snap = store.open('nyc/flights')\n"
            "for shown in store, snap, store.ls(), store.usage(), snap.explain():\n"
            "    print(repr(shown)); assert '<style>' in shown._repr_html_()\n"
            "assert not {'rich', 'typer'} & set(sys.modules)",
            store.path,
        )
    assert process.stderr == ""
    lines = process.stdout.splitlines()
    assert lines[0] == f"<colonnade.Store {str(store.path)!r}>"
    assert lines[1].startswith("<colonnade.Snapshot 'nyc/flights' version 1: ")
    assert lines[2].startswith("[TableInfo(")
    assert f"Usage {store.path}" in lines
    start = lines.index("Explanation how pandas reads each column")
    assert lines[start + 1] == "zero-copy 1 of 2 columns, 16B of 24B   size 24B   written for pandas 16B"
    heading, n, day, caption = lines[start + 3 :]
    assert heading.split() == ["column", "arrow", "type", "pandas", "dtype", "size", "nulls", "copied", "opens"]
    assert n.split() == ["n", "int64", "int64", "16B", "0", "0B", "zero-copy"]
    assert day.endswith("pandas holds Python objects here; those that were put are made again")
    assert heading.index("pandas dtype") == n.index("int64", n.index("int64") + 1)
    assert caption == "2 columns"


@pytest.mark.parametrize("args", [["--help"], ["ls"], []])
def test_the_command_line_says_what_to_install(args):
    process = run("from colonnade.cli import main; main()", *args)
    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr == "colonnade: the command line needs Typer and Rich: pip install 'colonnade[cli]'\n"


def test_load_and_dump_work(store, tmp_path):
    (tmp_path / "t.csv").write_text("x\n1\n")
    process = run(
        "import colonnade as cn, pathlib\nstore, folder = cn.Store(sys.argv[1]), pathlib.Path(sys.argv[2])\n"
        "with store.load('t', folder / 't.csv', progress=False): store.dump('t', folder / 'out.csv')",
        store.path,
        tmp_path,
    )
    assert process.stderr == ""
    assert (tmp_path / "out.csv").read_text() == '"x"\n1\n'
