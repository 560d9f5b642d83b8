"""The version of Graft. It stands only here, so that a checkout knows it like an installed wheel."""

# The name on the package index, where `graft` belongs to somebody else.
DISTRIBUTION = "graft-transfer"
__version__ = "0.1.0"
