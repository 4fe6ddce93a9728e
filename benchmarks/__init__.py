"""Measurements of the pipeline on data of known size and shape. Each is a command with --help."""
