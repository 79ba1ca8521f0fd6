"""Fine-tunes a pretrained backbone on a folder of images, with hub.KerasLayer.

python examples/finetune_hub.py --module module/ --images photos/ --size 224
"""

import argparse

import tensorflow_hub as hub
import tf_keras


def datasets(folder, size):
    """Four fifths to train on and one to test on, images in [0, 1], and the classes."""
    train, test = tf_keras.utils.image_dataset_from_directory(
        folder,
        validation_split=0.2,
        subset="both",
        seed=0,
        image_size=(size, size),
        crop_to_aspect_ratio=True,
        batch_size=32,
    )
    classes = train.class_names
    return *(d.map(lambda x, y: (x / 255.0, y)) for d in (train, test)), classes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--module", required=True, help="folder or URL")
    parser.add_argument("--images", required=True, help="folder, a subfolder a class")
    parser.add_argument("--size", type=int, default=224, help="pixels")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", default="classifier")
    arguments = parser.parse_args()

    train, test, classes = datasets(arguments.images, arguments.size)
    backbone = hub.KerasLayer(arguments.module, trainable=True)
    images = tf_keras.Input((arguments.size, arguments.size, 3))
    x = tf_keras.layers.RandomFlip("horizontal")(images)
    logits = tf_keras.layers.Dense(len(classes))(backbone(x))
    model = tf_keras.Model(images, logits)
    model.compile(
        tf_keras.optimizers.Adam(3e-4),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(train, validation_data=test, epochs=arguments.epochs)
    model.save(arguments.out)  # a folder: a SavedModel


if __name__ == "__main__":
    main()
