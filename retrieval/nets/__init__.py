"""Blocks of networks. Everything here needs torch, and nothing outside training and export imports it."""
