"""Find near-duplicate documents: shingles, MinHash bands, candidate components, and the choice of survivors."""
