"""Other libraries' frames: one file each, and nothing imported before it is needed."""
