"""Measurements: always a ratio against a peer or a stated base in the same run."""
