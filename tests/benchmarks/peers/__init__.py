"""What chatq is measured against: the guide's stack on Node, and stock RQ."""
