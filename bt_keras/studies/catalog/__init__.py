"""The studies of the paper that `bt-keras study` knows, one file each.

Figures are top-1 accuracies of the linear classifier on ImageNet after 300 epochs, if
the study's source does not say otherwise. What a paper only plots is `None`.
"""

from bt_keras.studies.catalog.asymmetry import ASYMMETRY
from bt_keras.studies.catalog.augmentations import AUGMENTATIONS
from bt_keras.studies.catalog.batch_size import BATCH_SIZE
from bt_keras.studies.catalog.lambd import LAMBD
from bt_keras.studies.catalog.loss import LOSS
from bt_keras.studies.catalog.methods import METHOD_RATES, METHODS
from bt_keras.studies.catalog.projector import PROJECTOR

STUDIES = {
    study.name: study
    for study in (
        *(LOSS, ASYMMETRY, BATCH_SIZE, AUGMENTATIONS, PROJECTOR, LAMBD),
        *(METHODS, METHOD_RATES),
    )
}
