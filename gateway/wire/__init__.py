"""Kafka bytes without I/O: generated messages, headers, frames, error codes."""
