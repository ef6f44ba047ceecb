"""The shop as its customers see it: pages rendered from Liquid, with the app's theme extension in them, and the app proxy.

Only what an app can be tried on. Orders go through the shop's own rules; no payment is asked for.
"""
