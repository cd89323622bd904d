"""A replicated log of opaque bytes."""
