"""Fetching a model of the catalogue: over HTTP or from a folder, verified, and placed as a whole package or not at all.

The way of one file: order.py says what is needed; origin.py brings it, over HTTP with web.py, which takes up what was
cut, and answers.py, which knows what a server means; checksum.py says whether it is the right one; staging.py holds it
until the package is whole, and then puts it in its place.
"""
