"""How it grows with the table: backlogs, groups, reports, workers and clusters."""
