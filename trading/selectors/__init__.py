"""What pages show: reads only, in the shape of the page."""
