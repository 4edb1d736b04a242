"""The command line: the only part of lipbench that prints."""
