"""The loop, a file a step; each module has NAME and run(context)."""
