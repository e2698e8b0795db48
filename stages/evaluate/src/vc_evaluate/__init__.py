"""Scores of base and clone beside the speaker's own ceiling and an impostor floor."""
