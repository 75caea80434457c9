"""Other libraries read the segments of a table that grows meanwhile: the short form of `python -m readers.growing_files`."""

import os

import pytest

from readers import growing_files

READINGS = {"Arrow JavaScript": 5, "Arrow Java": 5}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with growing_files.growing(tmp_path_factory.mktemp("growing"), seed=1) as store:
        yield store


@pytest.mark.slow
@pytest.mark.parametrize("name", growing_files.PROMISED)
def test_a_reader_of_the_footer_reads_published_rows(name, store):
    if absent := growing_files.missing(name):
        say = pytest.fail if os.environ.get("COLONNADE_READERS") == "all" else pytest.skip
        say(f"{name} needs {absent}")
    count = READINGS.get(name, 25)
    result = growing_files.read(name, count, store)
    assert result.right == count, result
    assert not result.wrong, result
    assert result.sizes > 1, result


@pytest.mark.slow
def test_a_reader_from_the_front_to_the_back_is_torn(store):
    """The manual promises nothing to such a reader, and this shows why."""
    assert growing_files.read("front to back, PyArrow", 100, store).wrong > 0
