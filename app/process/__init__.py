"""This process: its clock, logs, heap and patience, and the moments at which tests let it die."""
