"""Keeps only the voice of a recording: music and effects go, the timing stays."""
