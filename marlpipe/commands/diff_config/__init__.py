"""What differs between two runs, or between what two commands come to."""
