"""The nodes of a graph, one kind in a module, and the kernels they run on."""
