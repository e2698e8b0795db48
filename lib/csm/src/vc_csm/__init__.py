"""Sesame CSM as a speaking model: prompts, codes, losses, training, speech."""
