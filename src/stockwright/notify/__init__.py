"""Back-in-stock notifications: who may ask, what counts as a restock, who is told. Pure; no I/O, no clock."""
