"""Stage of the Voice Cloning Pipeline: fine-tunes a speaking model on a voice."""
