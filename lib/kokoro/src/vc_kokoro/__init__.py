"""Kokoro as a speaking model: fitted to a voice, small enough for CPUs."""
