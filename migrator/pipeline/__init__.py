"""One split from source to target: read ahead, prepare, write, checkpoint in order."""
