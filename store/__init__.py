"""Events by time: a library by itself, without Raft and without a Kafka server."""
