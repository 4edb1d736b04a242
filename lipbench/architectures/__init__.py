"""The architectures that come with lipbench, one a file."""
