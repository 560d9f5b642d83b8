"""What a configuration is: its keys, what each may hold, its paths and `_target_`s. Imports no torch."""
