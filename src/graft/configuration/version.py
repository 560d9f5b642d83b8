"""Which Graft this is: here and nowhere else, so that a checkout knows it as an installed wheel does."""

# On the package index: `graft` is somebody else's there.
DISTRIBUTION = "graft-transfer"
__version__ = "0.1.0"
