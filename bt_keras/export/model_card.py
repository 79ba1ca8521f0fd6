"""The model card of an exported module: README.md with front matter."""

import json
import textwrap

from bt_keras.evaluation import report

_UNKNOWN = "not recorded"


def text(known, sums):
    """Writes the card.

    Args:
        known: dict, what `bt_keras.hub.metadata` reads.
        sums: dict from the names of the files to their SHA-256.

    Returns:
        str, Markdown with YAML front matter, as model hubs read it.
    """
    parts = [
        _front_matter(known),
        _head(known),
        "## Load it\n\n" + _loading(known),
        "## What is inside\n\n" + _inside(known),
        "## How it was made\n\n" + _recipe(known),
        "## What it is worth\n\n" + _results(known),
        "## Licence\n\n" + _licence(known),
        "## Files\n\nSHA-256, for `sha256sum --check SHA256SUMS`:\n\n" + _files(sums),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(known):
    config = known.get("config")
    lines = [
        "library_name: tensorflow",
        f"license: {_quoted(known.get('license') or 'unknown')}",
        "pipeline_tag: image-feature-extraction",
        "tags: [barlow-twins, self-supervised-learning, image-feature-vector]",
        f"model_name: {_quoted(known['name'])}",
        f"fine_tunable: {'true' if known['trainable_variables'] else 'false'}",
    ]
    if config:
        lines.append(f"datasets: [{_quoted(config['data']['source'])}]")
    if known.get("results"):
        lines.append("metrics: [accuracy]")
    return "\n".join(["---", *lines, "---"])


def _quoted(value):
    return json.dumps(" ".join(str(value).split()), ensure_ascii=False)


def _head(known):
    config = known.get("config")
    data = f" on `{config['data']['source']}`" if config else ""
    return textwrap.dedent(
        f"""\
        # {known["name"]}, pretrained with Barlow Twins

        An image backbone, trained without labels{data} (Zbontar et al.,
        [arXiv 2103.03230](https://arxiv.org/abs/2103.03230)) by bt_keras. It takes RGB
        images in [0, 1] and gives {known["feature_dim"]} features each."""
    )


def _loading(known):
    return "\n".join([*_loading_by_hub(known), *_loading_otherwise(known)])


def _loading_by_hub(known):
    shape = known["input_shape"]
    size = " x ".join("any" if side is None else str(side) for side in shape[1:3])
    strides = ", ".join(map(str, known["strides"]))
    lines = [
        "Images are float32 in [0, 1], (N, H, W, 3); height x width: "
        f"{size}. It was made for about {known['image_size']} pixels.",
        "",
        "```python",
        "import tensorflow_hub as hub",
        'module = hub.load("module")  # this folder, its .tar.gz unpacked, or its URL',
        "features = module(images, training=False)",
    ]
    if strides:
        lines += [
            f"# and the feature maps at strides {strides}:",
            "endpoints = module(images, training=False, return_endpoints=True)",
            f'endpoints["stride{known["strides"][-1]}"]',
        ]
    if known["embedding_dim"]:
        lines.append(
            f"embeddings = module.projector(features)  # {known['embedding_dim']}"
        )
    return [*lines, "```", ""]


def _loading_otherwise(known):
    lines = [
        "Fine-tuning in tf-keras, which `hub.KerasLayer` needs:",
        "",
        "```python",
        "import tf_keras",
        'backbone = hub.KerasLayer("module", trainable=True)',
        "model = tf_keras.Sequential([backbone, tf_keras.layers.Dense(10)])",
        "```",
        "",
        "In Keras 3, with bt_keras installed; a `.tar.gz` or a URL will do too:",
        "",
        "```python",
        "import bt_keras, keras",
        'backbone = bt_keras.load_backbone("module", trainable=True)',
        "model = keras.Sequential([backbone, keras.layers.Dense(10)])",
        "```",
        "",
        "In plain TensorFlow, as in a serving process:",
        "",
        "```python",
        "import tensorflow as tf",
        'signatures = tf.saved_model.load("module").signatures',
        'signatures["serving_default"](inputs=images)["features"]',
        'signatures["uint8"](inputs=levels)["features"]',
    ]
    if "encoded" in known["signatures"]:
        lines += [
            "# The bytes of JPEG and PNG files, of which the middle is taken, "
            f"{known['image_size']} pixels wide:",
            'signatures["encoded"](inputs=tf.constant([contents]))["features"]',
        ]
    return [*lines, "```"]


def _inside(known):
    rows = [
        ("parameters", f"{known['parameters']:,}"),
        ("features", str(known["feature_dim"])),
        ("feature maps at strides", ", ".join(map(str, known["strides"])) or "none"),
        ("embedding of the projector", str(known["embedding_dim"] or "not exported")),
        (
            "variables, trainable",
            f"{known['variables']}, {known['trainable_variables']}",
        ),
        ("signatures", ", ".join(f"`{name}`" for name in known["signatures"])),
        ("normalised inside with", "ImageNet's mean and standard deviation"),
    ]
    return _markdown(("", ""), rows)


def _recipe(known):
    config = known.get("config")
    versions = ", ".join(f"{p} {v}" for p, v in known["versions"].items())
    if not config:
        return f"The recipe is {_UNKNOWN}. Exported with {versions}."
    backbone, optimizer = config["backbone"], config["optimizer"]
    rows = [
        (
            "data",
            f"`{config['data']['source']}`, split `{config['data']['train_split']}`",
        ),
        ("views", f"`{config['views']['recipe']}`, {config['views']['size']} pixels"),
        (
            "backbone",
            f"ResNet-{backbone['depth']}, width {backbone['width']:g}, "
            f"{backbone['stem']} stem",
        ),
        ("projector", ", ".join(map(str, config["projector"]))),
        ("lambda", f"{config['lambd']:g}"),
        ("batch", str(config["batch_size"])),
        ("epochs, steps", f"{known['epochs']}, {known['steps']:,}"),
        (
            "optimizer",
            f"{optimizer['name']}, peak rate {optimizer['learning_rate']:g} "
            "for a batch of 256",
        ),
        ("precision", config["precision"]),
        ("seed", str(config["seed"])),
        ("exported with", versions),
    ]
    return _markdown(("", ""), rows) + (
        "\n\n`assets.extra/bt_keras.json` has every field of the config."
    )


def _results(known):
    rows = known.get("results")
    if not rows:
        return "It has not been evaluated: `bt-keras evaluate` does."
    table = report.results_table(rows)
    return f"What `bt-keras evaluate` has measured in its run:\n\n```\n{table}\n```"


def _licence(known):
    if licence := known.get("license"):
        return f"{licence}."
    return (
        "Not stated. Whoever passes these weights on says so with `bt-keras export "
        "--license`; the images that they were trained on may have a say."
    )


def _files(sums):
    lines = "\n".join(f"{digest}  {name}" for name, digest in sums.items())
    return f"```\n{lines}\n```"


def _markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
