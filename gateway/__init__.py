"""Every door in: Kafka bytes, HTTP and the web UI."""
