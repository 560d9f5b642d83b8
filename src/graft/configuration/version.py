"""Which Graft this is: here and nowhere else, so that a checkout knows it as an installed wheel does."""

# The name on the package index, where `graft` belongs to somebody else.
DISTRIBUTION = "graft-transfer"
__version__ = "0.1.0"
