"""Replicated commands: one class each, with its executor, in one table."""
