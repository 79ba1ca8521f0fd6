"""The peers' sides, in PyTorch, as fast as their users would have them.

Channels-last unless a side is called "as published", bfloat16 by autocast, as many
threads as there are cores and a DataLoader worker for each core, which stays between
epochs. Run by a Python that has benchmarks/peers.txt and nothing of this library.
"""

import torch

from benchmarks import processes

torch.set_num_threads(processes.num_cores())
