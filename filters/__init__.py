"""What is measured about a text and how it is judged: pure functions over Arrow arrays."""
