"""The configuration of a pipeline: one typed, frozen tree that refuses unknown keys. Its root is in `pipeline`.

The docstring of each field gives its unit and the reason for its default. `conf.load` fills the tree from a YAML file
and the command line. Nothing changes it afterwards (`model_copy` makes changed copies).
"""
