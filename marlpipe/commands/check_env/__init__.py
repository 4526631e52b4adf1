"""What every world promises, and whether it keeps it: it is played at random, by nothing but its calls."""
