"""The examples with PyTorch: tensors over shared memory, and workers whose memory does not grow.

`make torch` installs PyTorch and runs them; elsewhere they are skipped where it is not there.
"""

import importlib.util
import os
import pickle
import re

import pandas as pd
import pytest

from support.examples import EXAMPLES, LOOK, run

WANTED = os.environ.get("COLONNADE_TORCH") == "wanted"


@pytest.fixture(autouse=True)
def _torch_is_there():
    if importlib.util.find_spec("torch") is None:
        say = pytest.fail if WANTED else pytest.skip
        say("PyTorch is not installed: make torch")


def test_a_tensor_is_a_view_of_the_store(folder):
    output = run("-c", LOOK, EXAMPLES / "with_torch.py", folder, "names['features'].numpy()", folder=folder)
    assert output == "(250000, 4) [-3.0]\n-1.0 0.0\nshared: True\n"


def figures(folder, *arguments):
    """What the example prints: the table's size, and by dataset and number of workers the memory after each epoch, in MB."""
    output = run(EXAMPLES / "torch_data_loader.py", *map(str, arguments), folder=folder)
    assert not list(folder.iterdir()), "it works in a store of its own, and leaves nothing"
    stored = int(re.search(r"store: (\d+) MB", output)[1])
    listed = re.search(r"of the rows, (\d+) MB", output)
    result = re.findall(r"(store|list), (\d+) workers: ([\d ]+) MB", output)
    memory = {(kind, int(workers)): [*map(int, each.split())] for kind, workers, each in result}
    return stored, int(listed[1]) if listed else None, memory


def test_memory_grows_neither_with_workers_nor_with_epochs(folder):
    """The example itself asserts that all rows came in each epoch."""
    stored, listed, memory = figures(folder, "--epochs", 2)
    assert stored > 190
    for workers in (0, 1, 2, 4):
        first, last = memory["store", workers]
        assert last < first + stored / 10
    for workers in (1, 2, 4):
        assert max(memory["store", workers]) < stored / 4
        # A copy would be noticed: each worker has one of a list, which has a fifth of the rows, because it reads it.
        assert min(memory["list", workers]) > max(memory["store", workers]) + listed / 2


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_that_stay_and_workers_that_import_all_anew(start, folder):
    rows = ("--rows", 20_000, "--list-rows", 0, "--epochs", 2, "--workers", 2)
    _, _, memory = figures(folder, *rows, "--start", start, "--persistent")
    (first, last) = memory["store", 2]
    assert last < first + 20


def test_the_dataset_is_pickled_as_a_reference(store):
    from torch_data_loader import Reviews

    table = pd.DataFrame({"text": ["good", "bad"] * 10_000, "stars": [5, 1] * 10_000})
    with store.put("reviews", table) as snapshot:
        reviews = Reviews(snapshot)
        texts, stars = reviews.__getitems__([1, 3, 0])
        assert stars.tolist() == [1, 1, 5]
        assert texts[0] == texts[1] != texts[2]
        pickled = pickle.dumps(reviews)
        assert len(pickled) < 500
        other = pickle.loads(pickled)
        assert len(other) == 20_000
        assert other[2][1].tolist() == [5]
