"""Personal data: what a pack says of it, the patterns and rules that find it, and its masks."""
