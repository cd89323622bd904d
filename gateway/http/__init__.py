"""REST and the web UI."""
