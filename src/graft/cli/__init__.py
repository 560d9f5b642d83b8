"""The command line: `graft COMMAND [words]`, its completion, and a further process of a run."""
