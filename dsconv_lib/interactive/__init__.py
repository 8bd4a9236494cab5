"""Figures that a reader moves: alive in a notebook, and on a page without a kernel."""
