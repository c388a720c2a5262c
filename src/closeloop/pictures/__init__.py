"""Pictures that people look at: SVG and pages that need nothing else, with hostile text disarmed."""
