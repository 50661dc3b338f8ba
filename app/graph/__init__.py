"""What people see of a graph: shown, checked over a day of history, and the page of its functions."""
