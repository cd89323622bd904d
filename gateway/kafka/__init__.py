"""The Kafka listener: connections, one dispatch table, one module per API."""
