"""From a suite file to a plan: every name resolved, every value spelled out."""
