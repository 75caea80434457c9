"""Look at a stored table as one NumPy array.

    python examples/python/with_numpy.py

A table of one dtype is one block of memory, so the array is a view of it: rows times columns, column after column.
"""

import numpy as np

import colonnade as cn

columns = {f"x{i}": "float64" for i in range(4)}
with cn.allocate("examples/matrix", columns, rows=250_000) as draft:
    for i, label in enumerate(columns):
        draft[label][:] = np.arange(250_000) + i

snap = cn.open("examples/matrix")  # in any process
matrix = np.asarray(snap)
print(matrix.shape, matrix.mean(axis=0))
matrix[0] = -1.0  # of this process alone: the kernel copies the pages that are touched
print(matrix[0, 0], np.asarray(snap)[0, 0])
