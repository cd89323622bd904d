"""Whole nodes in one process, from one seed: virtual time, sick disks, bad networks, and checkers of what clients saw.

`python -m tests.simulation --help`, or `make simulate SEEDS=100`. `run.simulate(seed, engine)` is one history.

Not simulated: links that break TCP's promises while nodes join, a stream that is deleted under load, and rot in closed
log segments, which nobody looks for yet.
"""
