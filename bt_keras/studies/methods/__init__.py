"""Models that studies compare with Barlow Twins; `fit` trains them with its step.

A config names them by `config.method.name`. Each is a subclass of
`bt_keras.BarlowTwins` with another loss of the same embeddings, in a file of its own.
"""
