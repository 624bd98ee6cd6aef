"""Answers side by side: one page to read them, and tables that hold all of them."""
