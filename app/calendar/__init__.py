"""Calendars of venues: their sessions from a library that knows holidays, as a table that stays."""
