"""Suites: one question a file."""
