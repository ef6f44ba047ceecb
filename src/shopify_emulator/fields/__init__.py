"""Resolvers of the Admin API, one module per part of the schema, and the schema that holds them.

Resolvers read state and call the rules; none of them decides a rule itself.
"""
