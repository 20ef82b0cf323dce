"""What the gallery measures beyond runs and comparisons, a file for each question."""
