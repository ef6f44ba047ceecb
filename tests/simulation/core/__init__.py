"""The core depth: the real stock protocol with a simulated shop, clock, network, store and workers."""
