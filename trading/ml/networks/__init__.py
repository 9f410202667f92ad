"""The nets of the roadmap, small modules each."""
