"""Consumer-group coordination as pure state machines over replicated commands."""
