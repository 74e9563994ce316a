"""OUTSIDE: everything that has an address."""
