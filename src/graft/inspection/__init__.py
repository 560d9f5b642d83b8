"""What is wrong with some images before anything is trained on them; only `labels` imports torch."""
