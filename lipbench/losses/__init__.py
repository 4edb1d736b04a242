"""The losses that come with lipbench, one a file."""
