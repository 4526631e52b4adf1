"""How fast marlpipe is, beside what the machine could do at best."""
