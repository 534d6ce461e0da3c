"""Password hashes that other servers have made: recognised, judged, compared."""
