"""The pure core: rules and state machines without clock, log or I/O."""
