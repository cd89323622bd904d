"""Event processing: pure operators and a thin Faust shell."""
