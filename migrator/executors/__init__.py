"""Where splits are worked on: threads of this process."""
