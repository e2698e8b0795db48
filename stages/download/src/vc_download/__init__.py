"""Fetches a recording from the web or from disk, and writes down where it came from."""
