"""One short module a command: compose parts, call them, write results."""
