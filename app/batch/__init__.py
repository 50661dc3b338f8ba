"""History straight into the graph: Parquet, merged and judged, through a task's operator, to Parquet."""
