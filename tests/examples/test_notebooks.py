"""The notebooks are those of the pages, and each runs from its first cell to its last in a real kernel."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.skipif(not (ROOT / "docs").exists(), reason="installed without its pages")


def test_they_are_printed_from_the_pages():
    spec = importlib.util.spec_from_file_location("print_notebooks", ROOT / "docs" / "print_notebooks.py")
    printer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(printer)
    assert sorted(printer.notebooks()) == NOTEBOOKS
    stale = [path.name for path, text in printer.notebooks().items() if path.read_text() != text]
    assert stale == [], "make docs prints them again"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, folder, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("COLONNADE_STORE", str(folder / "store"))
    monkeypatch.setenv("JUPYTER_PATH", str(_kernel_of_this_environment(tmp_path)))
    work = tmp_path / "work"
    work.mkdir()
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=100, kernel_name="here", resources={"metadata": {"path": str(work)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [each.text for each in outputs if "Traceback" in each.get("text", "")]
    ran = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count]
    assert ran


def _kernel_of_this_environment(folder):
    """A kernel that runs this interpreter, whatever kernels are installed."""
    spec = folder / "kernels" / "here" / "kernel.json"
    spec.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": command, "display_name": "here", "language": "python"}))
    return folder
