"""What every stage of the Voice Cloning Pipeline stands on: command line, files, audio, manifests."""
