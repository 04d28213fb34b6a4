"""Studies: one question a file. Each returns its results and prints nothing."""
