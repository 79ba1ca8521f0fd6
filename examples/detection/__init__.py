"""A keras-cv RetinaNet on an exported backbone: pretrained versus random weights."""
