"""The ground that every stage stands on: command line, options, files, audio, manifests."""
