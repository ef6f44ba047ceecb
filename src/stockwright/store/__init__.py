"""The only SQL. One `<noun>.py` of typed functions over one `sql/<noun>.sql` per noun.

Functions take the connection first; the caller owns the transaction.
"""
