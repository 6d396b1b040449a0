"""What a competent engineer would write without Kommunebro, so that the figures have something to stand beside.

None of these checks anything: no token, no schema, no duplicates, no agreements. Each is a program of its own.
"""
