"""Which backbones there are to rank, what each costs, and what runs reached with them."""
