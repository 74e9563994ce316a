"""THE SUBJECT: pure code that knows items, users and vectors, and no service."""
