"""What a run does with a table: classify or group it, in one process or several, and resume after a break."""
