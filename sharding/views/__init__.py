"""Views of a topic as read-only partitions: rank of emission is the offset. See `store.emission`."""
