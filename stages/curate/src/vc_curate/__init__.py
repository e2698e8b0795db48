"""The target's speech cut into clips worth learning from."""
