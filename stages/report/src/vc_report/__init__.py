"""One page to hear and judge a run by."""
