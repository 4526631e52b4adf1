"""What every world promises, and whether it keeps it: a world is played at random, and nothing but its calls is used."""
