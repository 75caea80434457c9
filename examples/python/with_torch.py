"""Hand a stored table to PyTorch as a tensor, without a copy.

    pip install torch
    python examples/python/with_torch.py

A table of one dtype is one block of memory, and the tensor a view of it; of a mixed one, take the columns that go
together: `np.asarray(snap.to_pandas(columns=[...]))`. torch_data_loader.py feeds the workers of a DataLoader.
"""

import numpy as np
import torch

import colonnade as cn

columns = {f"x{i}": "float32" for i in range(4)}
with cn.allocate("examples/features", columns, rows=250_000) as draft:
    for i, label in enumerate(columns):
        draft[label][:] = np.arange(250_000) % 1000 + i

snap = cn.open("examples/features")  # in any process
features = torch.from_numpy(np.asarray(snap))
weights = torch.tensor([1.0, 0.0, 0.0, -1.0])
print(tuple(features.shape), (features @ weights).unique().tolist())
features[0] = -1.0  # of this process alone: the kernel copies the pages that are touched
print(features[0, 0].item(), np.asarray(snap)[0, 0])
