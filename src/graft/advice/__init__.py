"""The answer to a person with images: which backbone, how much to retrain, how far to trust the number."""
