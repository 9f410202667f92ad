"""One command each: `./console bench <name>`; never part of the tests."""
