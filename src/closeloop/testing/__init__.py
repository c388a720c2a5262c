"""Shipped with the product: contract suites, the simulator, fake services."""
