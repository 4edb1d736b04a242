"""One run whole, and the folders that runs live in: begun, resumed, left, looked at again."""
