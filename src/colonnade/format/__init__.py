"""The snapshot file: bytes to columns and back."""
