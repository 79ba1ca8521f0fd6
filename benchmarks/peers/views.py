"""torchvision's views from a DataLoader, from arrays in memory or files."""

from torch.utils.data import RandomSampler

from benchmarks import side
from benchmarks.peers import transforms

_ENDLESS = 2**40


def prepare(case):
    views = transforms.views(case["size"], case["recipe"])
    dataset = transforms.load(case["path"], views)
    # A single endless epoch: restarting a loader is slow, and with few images it would
    # happen often.
    sampler = RandomSampler(dataset, replacement=True, num_samples=_ENDLESS)
    loader = transforms.loader(dataset, case["batch"], sampler)

    def start():
        iterator = iter(loader)
        return lambda: next(iterator)

    return side.Work(start, units=case["batch"], lead_in=case["lead_in"])


if __name__ == "__main__":
    side.serve(prepare)
