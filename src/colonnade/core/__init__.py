"""The Python side of the core: jobs, buffers and regions."""
