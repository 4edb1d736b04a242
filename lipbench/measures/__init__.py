"""The measures that come with lipbench, one a file; what several share has an underscore."""
