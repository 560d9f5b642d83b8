"""`python -m graft COMMAND`: the console command, also for launchers that start modules."""

from graft.cli.console import main

main()
