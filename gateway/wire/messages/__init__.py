"""Kafka's messages as Python, one module per API; written by `gateway.wire.generate`."""
