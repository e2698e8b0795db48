"""Fitting Kokoro to a voice: from aligned clips to an adapter."""
