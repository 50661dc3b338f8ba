"""The bus on Apache Kafka, through one client: consumers, producers, topics, and what its errors mean."""
