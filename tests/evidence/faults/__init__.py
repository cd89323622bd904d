"""Faults of real processes, networks and disks under real clients; `python -m tests.evidence.faults --help`."""
