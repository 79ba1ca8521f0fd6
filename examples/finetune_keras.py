"""Fine-tunes a pretrained backbone on a folder of images with Keras 3.

python examples/finetune_keras.py --module module/ --images photos/ --size 224
"""

import argparse

import keras

import bt_keras


def datasets(folder, size):
    """Returns training data (80 %), test data (20 %) and the class names."""
    train, test = keras.utils.image_dataset_from_directory(
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
    parser.add_argument("--module", required=True, help="folder, .tar.gz or URL")
    parser.add_argument("--images", required=True, help="one subfolder per class")
    parser.add_argument("--size", type=int, default=224, help="pixels per side")
    parser.add_argument("--epochs", type=int, default=10, help="number of epochs")
    parser.add_argument("--out", default="classifier.keras", help="file of the result")
    arguments = parser.parse_args()

    train, test, classes = datasets(arguments.images, arguments.size)
    backbone = bt_keras.load_backbone(arguments.module, trainable=True)
    images = keras.Input((arguments.size, arguments.size, 3))
    x = keras.layers.RandomFlip("horizontal")(images)
    logits = keras.layers.Dense(len(classes))(backbone(x))
    model = keras.Model(images, logits)
    model.compile(
        keras.optimizers.Adam(3e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(train, validation_data=test, epochs=arguments.epochs)
    # To load it, first `import bt_keras`, then call `keras.models.load_model`.
    model.save(arguments.out)


if __name__ == "__main__":
    main()
