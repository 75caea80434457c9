"""Cards: what a notebook or a terminal shows of an object. The objects themselves import this when they are shown."""
