"""torchvision's views from a DataLoader, of arrays in memory or of files."""

from torch.utils.data import RandomSampler

from benchmarks import side
from benchmarks.peers import transforms

_ENDLESS = 2**40


def prepare(case):
    views = transforms.views(case["size"], case["recipe"])
    dataset = transforms.load(case["path"], views)
    # One epoch that never ends: a loader starts again slowly, and with the few images
    # here that would happen often.
    sampler = RandomSampler(dataset, replacement=True, num_samples=_ENDLESS)
    loader = transforms.loader(dataset, case["batch"], sampler)

    def start():
        iterator = iter(loader)
        return lambda: next(iterator)

    return side.Work(start, units=case["batch"], lead_in=case["lead_in"])


if __name__ == "__main__":
    side.serve(prepare)
