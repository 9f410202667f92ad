"""What learns by acting: replay, policy optimisation, and the judgement of a policy."""
