"""STAGES: one a file, each finished work once and for all."""
