"""The processes of a run, and what belongs to each: threads, signals, random streams, output."""
