"""What the book shows and does not recompute: measured once, and kept in results/.

Each module measures one thing, `dsconv measure` calls it, and `record` writes what came out: files of one schema, which
say what was measured, by which command, when, at which commit and on which machine.
"""
