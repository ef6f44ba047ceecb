"""Mail: messages, templates, and the way to a mail server.

Knows neither the database nor a shop. What is sent, to whom and when is decided elsewhere (`sending`).
"""
