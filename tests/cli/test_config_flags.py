"""Bad values of flags and config files: one line, and no workdir."""

import importlib

import pytest

from bt_keras import config
from bt_keras.cli import config_flags
from bt_keras.cli.main import COMMANDS
from tests.cli.commands import one_error_line


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--config.bach_size=4"], ["batch_size"]),
        (["--config.batch_size=many"], ["batch_size", "many"]),
        (["--config.microbatches=3"], ["config.microbatches is 3"]),
        (["--config.steps_per_execution=3"], ["execution is 3", "from 1, 2"]),
        (["--config.batch_size=1"], ["at least 2 images"]),
        (["--config.batch_size=1000"], ["1000", "18 images"]),
        (["--config.views.recipe=large"], ["large", "small"]),
        (["--config.views.a.crop_scal=(0.2, 1)"], ["a.crop_scal:", "mean crop_scale"]),
        (["--config.views.b.crop_scale=(0.2, 2)"], ["b.crop_scale=(0.2, 2)", "(0, 1]"]),
        (["--config.views.b.blur=much"], ["config.views.b.blur='much'"]),
        (
            ["--config.views.c.blur=1"],
            ["no such field 'c'; there are a, b, finish_on_device, recipe, size."],
        ),
        (["--config.data.chanels=1"], ["data.chanels", "; did you mean channels?"]),
        (["--config.epochs.few=1"], ["config.epochs.few: no such field 'few'"]),
        (
            ["--config.data.channels=1", "--config.views.a.hue=0.3"],
            ["config.views.a.hue=0.3 needs RGB", "bands is 1"],
        ),
        (["--config.backbone.depth=19"], ["19", "18, 34, 50"]),
        (["--config.projector=(8, 0)"], ["projector"]),
        (["--config.precision=int8"], ["int8", "mixed_bfloat16"]),
        (["--config.optimizer.name=newton"], ["newton", "lars"]),
        (["--config.optimizer.options.speed=3"], ["speed"]),
        (["--config.optimizer.warmup_epochs=9"], ["warmup_epochs", "9"]),
        (["--config.epochs=0"], ["epochs"]),
        (["--config.seed=-1"], ["seed", "-1"]),
        (["--config.lambd=-1.0"], ["lambd", "-1"]),
        (["--config.lambd=nan"], ["config.lambd is nan"]),
        (["--config.backbone.width=inf"], ["config.backbone.width is inf", "> 0"]),
        (["--config.optimizer.learning_rate=inf"], ["learning_rate is inf"]),
        (["--config.optimizer.options.momentum=nan"], ["options.momentum is nan"]),
        (["--config.evaluation.resize_ratio=nan"], ["resize_ratio is nan"]),
        (["--config.epochs=9000000000"], ["config.epochs is 9000000000", "2**31"]),
        (["--config.data.source=shiped"], ["shiped", "shipped"]),
        (["--config.data.source=tfds:cifar11"], ["cifar11", "cifar10"]),
        (["--config.data.train_split=trian"], ["trian", "train"]),
        (["--workdr=x"], ["workdr"]),
        (["stray"], ["stray"]),
        (["--", "--strategy=one"], ["'--'"]),
        (["--join_timeout=-1"], ["join_timeout"]),
        (["--strategy=one", "--strategy=tpu"], ["--strategy is given 2 times"]),
        (["--config.epochs=1", "--config.epochs=2"], ["epochs is given 2 times"]),
        (["--config.projector=(8,)", "--config.projector=8"], ["projector", "2 times"]),
        (["--config.projector[0]=5"], ["no such field", "projector"]),
        (["--config.=5"], ["no such field"]),
        (["--config.epoch=5"], ["no such field 'epoch'; did you mean epochs?"]),
        (["--config.data.source="], ["--config.data.source is empty"]),
        (["--config.data.source=a\0b"], ["data.source has a null character"]),
        (["--strategy= "], ["--strategy is empty", "shell"]),
    ],
    ids=lambda value: value[0] if value[0].startswith("-") else "",
)
def test_bad_values_create_no_workdir(recipe, tmp_path, capsys, flags, parts):
    arguments = ["pretrain", "--config", recipe, "--workdir", tmp_path / "run", *flags]
    one_error_line(capsys, arguments, *parts)
    assert not (tmp_path / "run").exists()


def test_fields_of_single_views_are_set_anew():
    mine = config.default()
    mine.views.a.blur = 1
    restored = config.from_json(
        config.to_json(mine).replace('"b": {}', '"b": {"sigma": [0.1, 2.0]}')
    )
    fields = ["--config.views.a.blur=0.5", "--config.views.b.sigma=(1, 2)"]
    changed = config_flags.override(restored, [*fields, "--config.epochs=30"], ())
    config.check(changed)
    assert changed.views.to_dict() == {
        "size": 224,
        "recipe": "imagenet",
        "a": {"blur": 0.5},
        "b": {"sigma": (1, 2)},
        "finish_on_device": False,
    }
    assert changed.epochs == 30


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("config.bach_size = 4", "bach_size"),
        ("config.batch_size = 'many'", "batch_size"),
        ("config.batch_size = = 3", "SyntaxError"),
        ("config.batch_size = undefined", "undefined"),
        ("return 3", "get_config() returns int"),
        ("raise SystemExit(0)", "calls sys.exit"),
        ("get_config()", "RecursionError"),
        ("config.data.source = __import__('pathlib').Path('x')", "'source'"),
        ("config.batch_size = __import__('numpy').int64(8)", "'batch_size'"),
        ("config.optimizer.options[3] = 1", "TypeError"),
        ("import ml_collections; return ml_collections.ConfigDict()", "missing"),
    ],
)
def test_bad_config_files_are_named(tmp_path, capsys, text, part):
    path = tmp_path / "mine.py"
    path.write_text(
        "from bt_keras.config import default\n"
        f"def get_config():\n    config = default()\n    {text}\n    return config\n"
    )
    arguments = ["pretrain", f"--config={path}", f"--workdir={tmp_path / 'run'}"]
    one_error_line(capsys, arguments, "mine.py", part)
    assert not (tmp_path / "run").exists()


def test_a_value_in_a_config_file_that_json_does_not_hold(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(
        "from bt_keras.config import default\n"
        "def get_config():\n    config = default()\n"
        "    config.optimizer.options.speed = {1, 2}\n    return config\n"
    )
    arguments = ["pretrain", f"--config={path}", f"--workdir={tmp_path / 'run'}"]
    one_error_line(capsys, arguments, "config.optimizer.options.speed is <set>")
    assert not (tmp_path / "run").exists()


def test_a_missing_config_is_named(tmp_path, capsys):
    arguments = ["pretrain", "--config=cifar", f"--workdir={tmp_path / 'run'}"]
    one_error_line(capsys, arguments, "cifar", "cifar10")


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_commands_on_a_workdir_check_its_config(copied, capsys, command):
    file = copied / "config.json"
    text = file.read_text()
    file.write_text(text.replace('"resize_ratio": 1.0', '"resize_ratio": NaN'))
    assert file.read_text() != text
    message = f"{file}: config.evaluation.resize_ratio is nan; it must be a number"
    one_error_line(capsys, [command, f"--workdir={copied}"], message)


@pytest.mark.parametrize(
    ("field", "value", "part"),
    [
        ("optimizer.options.x", "lambda: 1", "the function <lambda>"),
        ("optimizer.options.x", "np.float32(0.5)", "is 0.5"),
        ("optimizer.options.x", "pathlib.Path('x')", "<PosixPath>"),
        ("projector", "(np.int64(8), 8)", "(8, 8)"),
        ("data.test_split", "'a\\0b'", "without null characters"),
    ],
)
def test_values_that_json_does_not_hold_are_named(tmp_path, capsys, field, value, part):
    path = tmp_path / "mine.py"
    path.write_text(
        "import pathlib\nimport numpy as np\nfrom bt_keras.config import default\n"
        f"def get_config():\n    config = default()\n    config.{field} = {value}\n"
        "    return config\n"
    )
    arguments = ["pretrain", f"--config={path}", f"--workdir={tmp_path / 'run'}"]
    one_error_line(capsys, arguments, f"config.{field} is", part)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_path_flag_needs_a_value(capsys, command):
    values = importlib.import_module(f"bt_keras.cli.{command}").define_flags()
    names = [name for name in values if values[name].flag_type() == "string"]
    for name in names:
        required = {"workdir", "input", "module", "out", "queue"}
        others = required & {*names} - {name}
        given = [command, *(f"--{other}=x" for other in others)]
        for text in ("", "  "):
            one_error_line(capsys, [*given, f"--{name}={text}"], f"--{name} is empty")


def test_a_path_that_is_too_long_is_named(recipe, capsys):
    workdir = "x" * 300
    arguments = ["pretrain", f"--config={recipe}", f"--workdir={workdir}"]
    one_error_line(capsys, arguments, "xxx", "too long")
