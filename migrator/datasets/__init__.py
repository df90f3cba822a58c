"""Datasets made of files, in a folder or a bucket: how they are named, staged, published, locked and described. Connectors bring the format."""
