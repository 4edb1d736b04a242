"""Who does runs: processes of this machine."""
