"""The codec's codes of every clip, once."""
