"""The feature cache in a run: whether it gives the same numbers, and what then trains on it."""
