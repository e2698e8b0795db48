"""What training is, whatever the family: going on, choosing, listening, following, recording."""
