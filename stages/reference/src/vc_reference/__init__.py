"""Cuts the slice that shows how a voice sounds, and checks that it is fit for that."""
