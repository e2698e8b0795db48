"""Who speaks when in a recording, and who of them is the target speaker."""
