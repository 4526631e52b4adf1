"""One page on which method is better, and on what evidence: from run folders alone, without any account."""
