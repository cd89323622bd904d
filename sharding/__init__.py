"""Partition manager: catalog, shards, replicated commands, coordinators, ticks, sealing, views."""
