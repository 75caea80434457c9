"""Fixtures of the tests of the core."""

import pytest

from colonnade import _core


@pytest.fixture(params=["portable", "avx2"], scope="module")
def kernels(request):
    """Run every test of a file with the kernels of each instruction set."""
    if not _core.use_kernels(request.param):
        pytest.skip(f"this processor has no {request.param}")
    yield
    _core.use_kernels("")
