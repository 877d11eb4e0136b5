"""What changed from one log to another, and later logs in the actions of an earlier flow."""
