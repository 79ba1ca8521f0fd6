"""The peers' sides in PyTorch, with the settings recommended for speed.

Channels-last unless a side is called "as published", bfloat16 by autocast, one thread
and one persistent DataLoader worker per core. They run in a Python environment with
benchmarks/peers.txt and without this library.
"""

import torch

from benchmarks import processes

torch.set_num_threads(processes.num_cores())
