"""Services, commands, wiring and configuration: the shells that perform what the core decides."""
