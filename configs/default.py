"""Every field of a run, at the paper's ImageNet recipe (arXiv 2103.03230).

The other files here start from this one and change what differs:

    bt-keras pretrain --config configs/default.py --workdir runs/imagenet

and the command line changes single fields: `--config.batch_size=512`.
"""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    # Of the initial weights, the order of the images and the views.
    config.seed = 0

    config.data = ConfigDict()
    # "shipped", "tfds:NAME", or the path of a TFDS directory or a folder of images.
    config.data.source = "tfds:imagenet2012"
    config.data.train_split = "train"
    # What `bt-keras evaluate` tests on.
    config.data.test_split = "validation"
    # Leave out files that do not decode, instead of stopping.
    config.data.skip_corrupt = False

    config.views = ConfigDict()
    config.views.size = 224  # pixels
    config.views.recipe = "imagenet"  # or "small": without blur

    config.backbone = ConfigDict()
    config.backbone.depth = 50
    config.backbone.width = 1.0
    config.backbone.stem = "imagenet"  # or "cifar": no early pooling

    # The widths of the projector's layers.
    config.projector = (8192, 8192, 8192)
    # The weight of the redundancy term; the official code has 0.0051.
    config.lambd = 5e-3

    config.batch_size = 2048  # of all replicas together
    # In how many parts a replica's batch goes through the network: with 4, activations
    # take a quarter of the memory and a step a third more work. The loss stays the
    # whole batch's.
    config.microbatches = 1
    config.epochs = 1000
    # Keras's dtype policy: "float32", "mixed_bfloat16" or "mixed_float16". The
    # mixed ones are for GPUs, TPUs and CPUs with AMX; other CPUs emulate bfloat16,
    # which is slower than float32.
    config.precision = "float32"
    # Steps between two returns to Python, a divisor of the epoch's. More than 1 pays
    # where a step takes milliseconds, and on TPUs; callbacks then see every so many.
    config.steps_per_execution = 1

    config.optimizer = ConfigDict()
    config.optimizer.name = "lars"  # or any Keras optimizer, such as "adamw"
    # Peak rates for a batch of 256; multiplied by batch_size / 256.
    config.optimizer.learning_rate = 0.2
    # Of biases and batch norm (only "lars" has it). The official code's 0.0048 acts
    # on gradients divided by its 16 replicas; ours are the whole batch's.
    config.optimizer.bias_learning_rate = 0.0048 / 16
    config.optimizer.warmup_epochs = 10.0
    # The last rate, as a fraction of the peak.
    config.optimizer.floor = 1e-3
    # Further arguments of the optimizer's class.
    config.optimizer.options = ConfigDict(
        {"momentum": 0.9, "weight_decay": 1.5e-6, "trust_coefficient": 1e-3}
    )

    # TensorFlow's deterministic operations: the same run twice gives the same bits on
    # a GPU too, some operations being slower. CPUs give them without.
    config.deterministic = False

    # After every epoch, when the run is told to stop, and:
    config.checkpoint = ConfigDict()
    config.checkpoint.every_steps = 0  # 0 for never
    config.checkpoint.every_minutes = 15.0  # 0 for never
    config.checkpoint.keep = 2  # the last so many
    config.checkpoint.keep_every = 0  # and those after every so many epochs
    # How often `--on_nan=rollback` may go back to a checkpoint.
    config.checkpoint.max_rollbacks = 3

    config.evaluation = ConfigDict()
    # Test images: the short side is resized to size * resize_ratio, then the centre
    # is cropped.
    config.evaluation.resize_ratio = 256 / 224
    config.evaluation.batch_size = 256
    config.evaluation.knn = ConfigDict({"k": 200, "temperature": 0.1})
    # The linear probe: SGD with a cosine schedule on frozen features.
    config.evaluation.linear = ConfigDict(
        {
            "epochs": 100,
            "batch_size": 256,
            "learning_rate": 0.3,
            "momentum": 0.9,
            "weight_decay": 1e-6,
        }
    )
    # Training the whole network on shares of the labels: SGD, the rates times 0.2
    # after 60 % and after 80 % of the steps.
    config.evaluation.finetune = ConfigDict(
        {
            "epochs": 20,  # of the labelled images
            "min_steps": 0,  # more epochs if that makes fewer steps than these
            "batch_size": 256,
            "learning_rate": 0.002,  # of the pretrained backbone
            "head_learning_rate": 0.5,  # of the classifier on it
            # Of the network from scratch, all of it. The paper takes its baseline
            # from others; this is the usual rate of a ResNet for this batch.
            "scratch_learning_rate": 0.1,
            "momentum": 0.9,
        }
    )
    return config
