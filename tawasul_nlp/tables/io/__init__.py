"""Tables in and out: formats, chunks of rows, and files that appear whole."""
