from bt_keras import config
from bt_keras.config import comments

SOURCE = """
def get_config():
    config = ConfigDict()
    # Not of `seed`.

    # Seeds all,
    # always.
    config.seed = 0  # an integer
    config.data = ConfigDict()
    config.data.source = "a # b"
    # Of a group.
    config.probe = ConfigDict(
        {
            "epochs": 2,  # over all images
            # Of the first epoch.
            "rate": 0.1,
        }
    )
    return config
"""


def test_comments_belong_to_the_fields_next_to_them():
    assert comments.parse(SOURCE) == {
        "seed": "Seeds all, always. an integer",
        "probe": "Of a group.",
        "probe.epochs": "over all images",
        "probe.rate": "Of the first epoch.",
    }


def test_comments_of_the_default_config_are_those_of_fields():
    fields = config.fields(config.default())
    found = comments.read()
    assert "never" in found["checkpoint.every_steps"]
    for name in found:
        assert any(f"{field}.".startswith(f"{name}.") for field in fields), name
