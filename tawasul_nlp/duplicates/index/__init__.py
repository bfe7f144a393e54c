"""The index: open incidents in a folder, which grow while cases arrive."""
