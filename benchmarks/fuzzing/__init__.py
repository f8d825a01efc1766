"""What `benchmarks/fuzz.py` does to files."""
