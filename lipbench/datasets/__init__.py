"""The datasets that come with lipbench, a source of images a file."""
