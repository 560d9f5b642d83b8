"""`python -m graft COMMAND`: the console command, also for launchers that start modules."""

from graft.cli import main

main()
