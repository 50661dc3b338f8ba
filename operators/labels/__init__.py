"""Label nodes: what the rows after an event say of it, given out once no row can change it any more."""
