"""``make bench``: what this project does beside the other way to do it, in one run on one machine.

Everything is a ratio: both sides do the same work on the same streams with the same base model, in
turns, so that a machine that is busy for a while slows both. What is done once, to warm up, is not
counted. It lies beside the tests, since it uses the finance example, which nothing in the package
may.
"""
