"""A keras-cv RetinaNet on an exported backbone, pretrained against random weights."""
