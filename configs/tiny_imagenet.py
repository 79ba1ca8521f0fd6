"""ResNet-18 on Tiny ImageNet, 100,000 images of 64 pixels, for an accelerator.

bt-keras pretrain --config configs/tiny_imagenet.py --workdir runs/tiny_imagenet

Not trained here: checked for a few steps on random images of this size.

TensorFlow Datasets does not have it. `data/tiny-imagenet-200` is the unpacked archive,
with a folder for each class in val/ as in train/.
val/val_annotations.txt names the class of each image:

    cd data/tiny-imagenet-200/val
    while read -r image class _; do
        mkdir -p "$class" && mv "images/$image" "$class/"
    done < val_annotations.txt
    rmdir images && rm val_annotations.txt
    rm -r ../test  # It has no labels.
"""

from bt_keras.config import load


def get_config():
    config = load("cifar100")
    config.data.source = "data/tiny-imagenet-200"
    config.data.layout = "splits"
    config.data.test_split = "val"
    config.views.size = 64
    return config
