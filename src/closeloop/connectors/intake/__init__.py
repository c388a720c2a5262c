"""Takes in feedback from files: readers, column mapping, and rows as bronze keeps them."""
