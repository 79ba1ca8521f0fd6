"""torchvision's views of Pillow images as in the official code, and their DataLoader.

The DataLoader has one persistent worker per core.
"""

import random

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets
from torchvision import transforms as T

from benchmarks import processes

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Recipe: the probabilities of blur and solarization for each view.
_RECIPES = {"imagenet": ((1.0, 0.0), (0.1, 0.2)), "small": ((0.0, 0.0), (0.0, 0.2))}


def views(size, recipe):
    """Returns a function from a Pillow image to its two views."""
    first, second = (_view(size, *chances) for chances in _RECIPES[recipe])
    return lambda image: (first(image), second(image))


def _view(size, blur, solarize):
    steps = [
        T.RandomResizedCrop(size, interpolation=T.InterpolationMode.BICUBIC),
        T.RandomHorizontalFlip(),
        T.RandomApply([T.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8),
        T.RandomGrayscale(0.2),
        T.RandomApply([T.Lambda(_blur)], p=blur),
        T.RandomApply([T.Lambda(ImageOps.solarize)], p=solarize),
        T.ToTensor(),
        T.Normalize(_MEAN, _STD),
    ]
    return T.Compose([s for s in steps if getattr(s, "p", 1) > 0])


def _blur(image):
    return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


class Arrays(Dataset):
    """Images in memory, as in torchvision's CIFAR10."""

    def __init__(self, path, transform):
        self.images = np.load(path)
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index])), 0


def load(path, transform):
    """Returns the `Dataset` of a .npy file or of a folder with class subfolders."""
    if path.endswith(".npy"):
        return Arrays(path, transform)
    return datasets.ImageFolder(path, transform)


def loader(dataset, batch, sampler=None):
    """Returns a `DataLoader` of full batches, shuffled unless there is a sampler."""
    return DataLoader(
        dataset,
        batch,
        shuffle=sampler is None,
        sampler=sampler,
        num_workers=processes.num_cores(),
        persistent_workers=True,
        drop_last=True,
    )
