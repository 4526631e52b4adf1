"""From run folders to tables and figures. Nothing here needs torch."""
