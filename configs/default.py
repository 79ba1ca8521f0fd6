"""All fields of a config, with the paper's values for ImageNet (arXiv 2103.03230).

    bt-keras pretrain --config configs/default.py --workdir runs/imagenet

The other configs start from this one and change fields. The command line overrides
single fields: `--config.batch_size=512`.
"""

from ml_collections import ConfigDict


def get_config():
    config = ConfigDict()
    # Determines the initial weights, the order of the images, and the views.
    config.seed = 0

    config.data = ConfigDict()
    # "shipped", "tfds:NAME", or the path of a TFDS folder or a folder of images.
    config.data.source = "tfds:imagenet2012"
    config.data.train_split = "train"
    # The split whose loss is logged after every epoch, such as "validation"; "" for
    # none. It must not contain images of the training split.
    config.data.validation_split = ""
    # The split that `bt-keras evaluate` tests on.
    config.data.test_split = "validation"
    # Skip files that cannot be decoded, instead of reporting an error.
    config.data.skip_corrupt = False
    # What the subfolders of a folder of images are: "classes" or "splits"; "auto"
    # decides by their names.
    config.data.layout = "auto"
    # Significant bits of images with more than 8 bits (8 to 16), such as 12 for X-rays.
    config.data.bits = 16
    # Number of bands, 1 to 16: 3 for RGB (gray images are repeated), 1 for gray (RGB
    # images are converted), any other must be that of all files.
    config.data.channels = 3
    # Mean and standard deviation of every band of images in [0, 1], for normalization:
    # "given" below (these are ImageNet's), or "measured" on the training images at the
    # start of the run.
    config.data.statistics = "given"
    config.data.mean = (0.485, 0.456, 0.406)
    config.data.deviation = (0.229, 0.224, 0.225)

    config.views = ConfigDict()
    config.views.size = 224  # pixels
    config.views.recipe = "imagenet"  # or "small", without blur
    # Fields in which the first view differs from the recipe, such as
    # config.views.a.crop_scale = (0.2, 1.0); docs/views.md lists all fields.
    config.views.a = ConfigDict()
    # The same for the second view.
    config.views.b = ConfigDict()
    # Send uint8 crops to the GPU or TPU and apply all other operations there: less work
    # for the CPU, a quarter of the bytes. Slower on a CPU. Its speed was not measured
    # on a GPU yet.
    config.views.finish_on_device = False

    config.backbone = ConfigDict()
    # "resnet" (depth, width, stem and features are for it), or a function or class that
    # returns a Keras model: "keras.applications.ConvNeXtTiny", "mine.network" of
    # ./mine.py.
    config.backbone.name = "resnet"
    config.backbone.depth = 50  # 18, 34, 50, 101 or 152
    config.backbone.width = 1.0
    config.backbone.stem = "imagenet"  # or "cifar", without early pooling
    # The number of features, by a 1x1 convolution after the last stage; more of them
    # can help linear classifiers of narrow networks. 0 leaves this convolution out: the
    # features are the channels of the last stage.
    config.backbone.features = 0
    # Arguments of the function that `name` names.
    config.backbone.options = ConfigDict()

    # The class of the model: Barlow Twins, or a subclass with another loss, such as
    # those of bt_keras.studies.methods, or "mine.Method" of ./mine.py.
    config.method = ConfigDict()
    config.method.name = "bt_keras.BarlowTwins"
    # Other arguments of the class.
    config.method.options = ConfigDict()

    # Widths of the projector's layers.
    config.projector = (8192, 8192, 8192)
    # Weight of the redundancy term; the official code uses 0.0051.
    config.lambd = 5e-3

    config.batch_size = 2048  # images per step, over all replicas
    # Number of microbatches of a replica's batch: with 4, activations take a quarter of
    # the memory, and a step takes a third more computation. The loss is still that of
    # the whole batch.
    config.microbatches = 1
    config.epochs = 1000
    # Keras dtype policy: "float32", "mixed_bfloat16" or "mixed_float16". The mixed
    # policies are for GPUs and TPUs, bfloat16 also for CPUs with AMX or AVX512-BF16;
    # other CPUs emulate it, which is slower than float32.
    config.precision = "float32"
    # Steps per call of the compiled function; must divide the steps of an epoch. More
    # than 1 is faster if a step takes milliseconds, and on TPUs. Callbacks then run
    # once per call.
    config.steps_per_execution = 1

    # CPU threads of the run's operations, and as many of its input pipeline; 0 for all
    # cores. Set it if several runs share a machine.
    config.threads = 0

    config.optimizer = ConfigDict()
    config.optimizer.name = "lars"  # or any Keras optimizer, such as "adamw"
    # Peak learning rate for a batch size of 256; multiplied by batch_size / 256.
    config.optimizer.learning_rate = 0.2
    # The same for biases and batch norm (only for "lars"). The official code applies
    # 0.0048 to gradients divided by its 16 replicas; here they are not divided.
    config.optimizer.bias_learning_rate = 0.0048 / 16
    config.optimizer.warmup_epochs = 10.0
    # Final learning rate, as a fraction of the peak.
    config.optimizer.floor = 1e-3
    # Other arguments of the optimizer's class.
    config.optimizer.options = ConfigDict(
        {"momentum": 0.9, "weight_decay": 1.5e-6, "trust_coefficient": 1e-3}
    )

    # Use TensorFlow's deterministic operations, so that repeated runs give identical
    # results on a GPU, as they always do on a CPU. Some operations are slower.
    config.deterministic = False

    # Checkpoints are written after every epoch, when a signal such as SIGTERM stops the
    # run (not on Ctrl-C), and:
    config.checkpoint = ConfigDict()
    config.checkpoint.every_steps = 0  # after this many steps; 0 for never
    config.checkpoint.every_minutes = 15.0  # after this many minutes; 0 for never
    config.checkpoint.keep = 2  # number of newest checkpoints to keep
    config.checkpoint.keep_every = 0  # also keep every n-th epoch's; 0 for none
    # Largest number of rollbacks with `--on_nan=rollback`.
    config.checkpoint.max_rollbacks = 3

    # What a run measures while it trains: in log.csv, in TensorBoard and in the line of
    # every epoch. It does not change the weights. All but the monitor need labels.
    config.callbacks = ConfigDict()
    # Run the monitor every n steps: it logs statistics of features, embeddings,
    # gradients and speed, and warns of problems (docs/callbacks.md). 0 for never.
    config.callbacks.monitor_every_steps = 0
    # Train a linear classifier on the features of every batch, which do not learn from
    # it: probe_top1, and val_probe_top1 with data.validation_split.
    config.callbacks.linear_probe = False
    config.callbacks.linear_probe_learning_rate = 3e-3  # of Adam
    # Classify images of data.validation_split, or else of data.test_split, by their
    # nearest training images after every n-th epoch: knn_top1; 0 for never. The vote
    # is that of evaluation.knn.
    config.callbacks.knn_every = 0
    # Largest number of images of each of the two splits.
    config.callbacks.knn_images = 10000

    config.evaluation = ConfigDict()
    # Pixels of the images that are evaluated, and of those that an exported module
    # expects; 0 for views.size. A network can be more accurate at a larger size than
    # that of its views (https://arxiv.org/abs/1906.06423).
    config.evaluation.size = 0
    # Test images: the short side is resized to this size * resize_ratio, then the
    # center is cropped.
    config.evaluation.resize_ratio = 256 / 224
    config.evaluation.batch_size = 256
    # Dtype of the features that are cached in the workdir: "float32", or "float16" for
    # half the space.
    config.evaluation.feature_dtype = "float32"
    config.evaluation.knn = ConfigDict({"k": 200, "temperature": 0.1})
    # Recall at these numbers of neighbors, among the test images.
    config.evaluation.retrieval = ConfigDict({"at": (1, 5, 10)})
    # The linear probe: SGD with a cosine schedule on frozen features.
    config.evaluation.linear = ConfigDict(
        {
            "epochs": 100,
            "batch_size": 256,
            "learning_rate": 0.3,
            "momentum": 0.9,
            "weight_decay": 1e-6,
            # On cached features: "paper" for the rate above, or "grid": the best rate
            # below, chosen on a tenth of the training images. Networks with more
            # features need smaller rates.
            "rates": "paper",
            "grid_learning_rates": (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
        }
    )
    # The linear probe on another data set, the --source of `bt-keras evaluate`. Its
    # rate is divided by 10 after one third and after two thirds of the epochs.
    config.evaluation.transfer = ConfigDict(
        {
            "epochs": 14,  # for Places205; 84 for iNaturalist 2018
            "batch_size": 256,
            "learning_rate": 0.01,
            "momentum": 0.9,
            "weight_decay": 5e-4,
        }
    )
    # Linear support vector machines on images with several labels each: the values of C
    # and the folds of the cross-validation that chooses one for each class.
    config.evaluation.multilabel = ConfigDict(
        {
            "costs": (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0),
            "folds": 3,
        }
    )
    # Scores without labels, of at most these numbers of images.
    config.evaluation.labelfree = ConfigDict(
        {
            "rank_images": 25_600,
            "cluster_images": 10_000,
            "lidar_images": 1000,
            "augmentations": 50,  # of each image for LiDAR
        }
    )
    # Fine-tuning of the whole network on a share of the labels: SGD, the learning
    # rates multiplied by 0.2 after 60 % and after 80 % of the steps.
    config.evaluation.semi = ConfigDict(
        {
            "shares": (0.01, 0.1),
            # "published" images of ImageNet's 1 % and 10 %, or always "stratified".
            "subsets": "published",
            "seeds": 3,
            "epochs": 20,  # over the labeled images
            "min_steps": 0,  # train more epochs until at least this many steps
            "batch_size": 256,
            "learning_rate": 0.002,  # of the pretrained backbone
            "head_learning_rate": 0.5,  # of the classifier
            # Of the whole network trained from scratch. The paper cites its baseline;
            # this is the usual learning rate of a ResNet for this batch size.
            "scratch_learning_rate": 0.1,
            "momentum": 0.9,
            # "paper" for the three rates above, or "grid": the best rates below, chosen
            # on a fifth of the labeled images.
            "rates": "paper",
            "grid_learning_rates": (0.002, 0.01, 0.05),
            "grid_head_learning_rates": (0.1, 0.5),
            "grid_scratch_learning_rates": (0.03, 0.1, 0.3),
        }
    )
    # The same on all labels.
    config.evaluation.finetune = ConfigDict(
        {
            "seeds": 3,
            "epochs": 20,
            "min_steps": 0,
            "batch_size": 256,
            "learning_rate": 0.002,
            "head_learning_rate": 0.5,
            "scratch_learning_rate": 0.1,
            "momentum": 0.9,
            "rates": "paper",
            "grid_learning_rates": (0.002, 0.01, 0.05),
            "grid_head_learning_rates": (0.1, 0.5),
            "grid_scratch_learning_rates": (0.03, 0.1, 0.3),
        }
    )
    return config
