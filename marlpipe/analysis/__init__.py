"""From run folders to statistics, the terminal report and the comparison page, without torch."""
