"""What changes state: one transaction each, audited in it, published after commit."""
