"""Tables and figures: one a file."""
