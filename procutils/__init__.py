"""Business processes as events in KurrentDB, learned by a small language model."""
