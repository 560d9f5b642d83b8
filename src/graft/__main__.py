"""`python -m graft` is the console command `graft`."""

from graft.cli import main

main()
