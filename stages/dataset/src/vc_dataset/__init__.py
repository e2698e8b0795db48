"""The clips of a voice as one Hugging Face dataset."""
