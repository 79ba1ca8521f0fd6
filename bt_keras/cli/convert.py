"""Convert weights between PyTorch and Keras.

The file name extensions give the direction: PyTorch weights become a .keras file, a
.keras file or a run becomes a PyTorch file. With --config and --workdir, a checkpoint
of the official code becomes a run that `bt-keras pretrain` resumes.

Examples:

    bt-keras convert --input resnet50.pth --output resnet50.keras
    bt-keras convert --input runs/demo --output demo.pth --naming torchvision
    bt-keras convert --input checkpoint.pth --config default --workdir runs/resumed
"""

import math
from pathlib import Path

from absl import flags as absl_flags

from bt_keras.cli import config_flags, flags, start
from bt_keras.errors import UsageError

# Flags that have a meaning in one direction only.
_TO_TORCH = ("naming", "classes", "checkpoint", "epoch")


def run(arguments):
    """Converts PyTorch's weights to Keras's, or back."""
    values = define_flags()
    flags.parse(values, arguments, known_only=config_flags.are_given(arguments))
    source = Path(values.input)
    if not source.exists():
        raise UsageError(f"--input={source}: there is no such file or folder.")
    if source.suffix.lower() == ".keras" or source.is_dir():
        _check(values, "from Keras to PyTorch", ["output"], ("config", "workdir"))
        _check_no_fields(arguments)
        print(_to_torch(values))
    elif values.workdir or values.config:
        unfit = ("output", *_TO_TORCH)
        _check(values, "into a workdir", ["config", "workdir"], unfit)
        print(_to_workdir(values, arguments))
    else:
        _check(values, "from PyTorch to Keras", ["output"], _TO_TORCH)
        _check_no_fields(arguments)
        print(_to_keras(values))


def define_flags():
    """Returns the command's flags."""
    values = flags.new()

    def string(name, text):
        absl_flags.DEFINE_string(name, None, text, flag_values=values)

    string(
        "input",
        "PyTorch's weights (.pth, .pt, .safetensors, .npz); or, to go back, a .keras "
        "file or the folder of a run, whose newest checkpoint is taken.",
    )
    absl_flags.mark_flag_as_required("input", flag_values=values)
    string(
        "output",
        "File to write, new: .keras; or, to go back, .pth, .pt, .safetensors or .npz.",
    )
    string(
        "config",
        "With --workdir: how training goes on, as for pretrain; --config.FIELD=VALUE "
        "changes a field.",
    )
    string("workdir", "A new run that goes on from the official checkpoint.pth.")
    _define_flags_of_the_way_back(values)
    return values


def _define_flags_of_the_way_back(values):
    absl_flags.DEFINE_enum(
        "naming",
        None,
        ["official", "torchvision", "detectron2"],
        "To go back: whose names; official is the default.",
        flag_values=values,
    )
    absl_flags.DEFINE_integer(
        "classes",
        None,
        "To go back, with --naming=torchvision: the classes of fc, 1000; 0 for none.",
        lower_bound=0,
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "checkpoint",
        None,
        "To go back: the whole checkpoint that the official code resumes from.",
        flag_values=values,
    )
    absl_flags.DEFINE_integer(
        "epoch",
        None,
        "With --checkpoint: the epochs that are done, if --input does not say.",
        lower_bound=0,
        flag_values=values,
    )


def _check(values, direction, needed, unfit):
    missing = [name for name in needed if not values[name].value]
    if missing:
        raise UsageError(f"to convert {direction}, give --{' and --'.join(missing)}.")
    for name in unfit:
        if values[name].value is not None:
            raise UsageError(
                f"--{name} has no place where --input={values.input} is converted "
                f"{direction}."
            )


def _check_no_fields(arguments):
    if config_flags.are_given(arguments):
        raise UsageError("--config.FIELD=VALUE is of --config and --workdir.")


def _to_keras(values):
    if Path(values.output).suffix.lower() != ".keras":
        raise UsageError(f"--output={values.output} must end in .keras.")
    from bt_keras import convert
    from bt_keras.convert import weight_files

    output = Path(values.output)
    weight_files.check_new(output)
    start.tensorflow()
    model = convert.from_torch(values.input)
    with weight_files.writing(output) as temporary:
        model.save(temporary)
    return f"{output}: {_described(model)}"


def _to_workdir(values, arguments):
    from bt_keras import config as config_lib

    config = config_lib.load(values.config)
    own = ("input", "config", "workdir")
    config = config_flags.override(config, arguments, own)
    config_lib.check(config)
    start.tensorflow()

    from bt_keras.convert.to_workdir import to_workdir

    model, epoch, differences = to_workdir(values.input, config, values.workdir)
    noted = f" ({'; '.join(differences)})" if differences else ""
    return (
        f"{values.workdir}: {_described(model)}, after epoch {epoch} of "
        f"{config.epochs}{noted}; `bt-keras pretrain --workdir {values.workdir}` goes "
        "on"
    )


def _to_torch(values):
    from bt_keras.convert import weight_files

    naming = values.naming or "official"
    output = Path(values.output)
    suffix = weight_files.suffix_of(output)
    if values.classes is not None and naming != "torchvision":
        raise UsageError("--classes is of --naming=torchvision.")
    if values.checkpoint and (naming != "official" or suffix not in (".pth", ".pt")):
        raise UsageError("--checkpoint is of --naming=official and a .pth.")
    if values.epoch is not None and not values.checkpoint:
        raise UsageError("--epoch is of --checkpoint.")
    weight_files.check_new(output)
    start.tensorflow()

    from bt_keras import convert
    from bt_keras.convert import keras_source

    model, epoch = keras_source.load(values.input, bool(values.checkpoint))
    if values.checkpoint:
        epoch = keras_source.epoch(values.input, epoch, values.epoch)
        tree = convert.to_checkpoint(model, epoch)
    elif naming == "detectron2" and suffix in (".pth", ".pt"):
        tree = convert.to_detectron2(model)
    else:
        classes = 1000 if values.classes is None else values.classes
        tree = convert.to_torch(model, naming, classes)
    convert.save(output, tree)
    state = tree.get("model", tree)
    what = f", with momenta, after epoch {epoch}" if values.checkpoint else ""
    return f"{output}: {naming} names, {len(state)} arrays{what}"


def _described(model):
    """What was written: kind, depth, number of arrays."""
    backbone = getattr(model, "backbone", model)
    arrays = len(model.weights)
    floats = sum(math.prod(v.shape) for v in model.weights)
    kind = "BarlowTwins with a " if backbone is not model else ""
    depth = backbone.name.removeprefix("resnet")
    momenta = " and momenta" if getattr(model, "optimizer", None) else ""
    return f"{kind}ResNet-{depth}, {arrays} arrays, {floats:,} numbers{momenta}"
