"""Other implementations of what the kernels do, timed on the same input in the same run."""
