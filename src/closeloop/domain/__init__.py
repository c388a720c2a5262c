"""The nouns of the loop and the rules that need nothing but them."""
