"""A page and an interface by HTTP to try a bundle on; the extra `serve` brings what it needs."""
