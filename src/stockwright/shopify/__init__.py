"""The Admin API client: transport, operations, cost budget, tokens, signatures, reads and writes."""
