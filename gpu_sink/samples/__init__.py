"""Labels that overlap: what each of their samples weighs, and splits of the samples that do not leak."""
