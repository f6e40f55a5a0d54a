"""Documentation, and what generates the part of it that the code already says."""
