"""TRUST: what a day of logs has to be like."""
