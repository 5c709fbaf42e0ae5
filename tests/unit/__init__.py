"""Logic on its own, without servers."""
