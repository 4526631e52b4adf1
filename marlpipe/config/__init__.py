"""From a command line to checked configs and the objects that they describe."""
