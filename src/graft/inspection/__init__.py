"""What is wrong with some images before anything is trained on them; importing this imports no torch."""
