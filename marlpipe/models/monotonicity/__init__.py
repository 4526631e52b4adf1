"""Monotonicity of mixers in the utilities: by construction, by projection, or by a penalty."""
