"""The functions of formulas in one table: what each takes, gives, means, and how it becomes steps."""
