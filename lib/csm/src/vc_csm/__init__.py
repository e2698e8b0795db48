"""Sesame CSM as a speaking model: its prompts, codes and losses, how it trains and how it speaks."""
