"""What the command lines of all verbs share: which verbs there are, their parameters, completion, how they end."""
