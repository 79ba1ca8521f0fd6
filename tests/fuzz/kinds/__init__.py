"""The kinds of files: valid samples, how to change them, and what reads them."""

from tests.fuzz.kinds import images, modules, runs, weights

# The kinds that one process reads.
GROUPS = {
    "weights": (
        weights.Pth(),
        weights.PthMembers(),
        weights.Npz(),
        weights.Safetensors(),
    ),
    "modules": (modules.Archive(), modules.Metadata(), runs.Sums()),
    "runs": (
        runs.Config(),
        runs.Reports(),
        runs.QueueEntry(),
        runs.QueueOutcome(),
        runs.Checkpoint(),
    ),
    "images": (images.Images(), images.Png(), images.Bands()),
}
