"""Sessions: from when to when a venue trades, as days of UTC, as a rule, or as a calendar's table."""
