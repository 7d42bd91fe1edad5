"""What the author of a layout works with: trials of sources, layouts from C headers and samples, new packages."""
