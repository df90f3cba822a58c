"""The benchmarks: each compares the migrator with the bare library doing the same work on the same machine in the same run."""
