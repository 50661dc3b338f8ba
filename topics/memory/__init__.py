"""The embedded bus: Kafka's rules for logs, groups and transactions, in this process."""
