"""What every stage of the Voice Cloning Pipeline shares."""
