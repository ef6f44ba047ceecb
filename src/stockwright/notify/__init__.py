"""Back-in-stock notifications: who may ask, what counts as a restock, who is told. Pure; no I/O, no clock."""

KIND = "notify-back-in-stock"  # of the automation that holds a shop's settings of all this
DISABLED = f"No automation “{KIND}” is enabled in this shop."
