"""Several processes of one run, and this one: threads, signals, random streams, standard output. Imports no torch."""
