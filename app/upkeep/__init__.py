"""A group that runs for months: settings compared, an upgrade checked, its commits kept, a slot given up."""
