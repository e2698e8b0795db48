"""Speech in a finished voice, labelled as synthetic."""
