"""The target's words with times and confidence."""
