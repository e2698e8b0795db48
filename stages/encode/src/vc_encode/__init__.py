"""Stage of the Voice Cloning Pipeline: makes of clips what a speaking model learns from."""
