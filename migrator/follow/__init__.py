"""What a run that follows its source remembers between passes: a journal of each write, and the state of the target it adds up to."""
