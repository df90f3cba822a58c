"""Search quality: how much of the exact truth a store's own search finds."""
