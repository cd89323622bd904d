"""`make demo`: the main job on real data, every answer checked against the data frame."""
