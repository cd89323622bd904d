"""One module per command of the `timesplit` program, imported when it is called."""
