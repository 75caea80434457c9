"""The verbs of a store, in groups; `Store` inherits them all. Each verb is documented here and delegates."""
