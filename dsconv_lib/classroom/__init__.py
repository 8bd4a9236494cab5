"""The exercises: questions, what is said of an answer, the notebooks, and marks for a class."""
