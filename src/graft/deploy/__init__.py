"""A model in use where it was not trained: files that need neither Graft nor, where asked for, torch."""
