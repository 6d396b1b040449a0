"""The benchmarks: the gateway against bare comparators, in one run, alternating.

`kommunebro bench --help` lists them; `docs/performance.md` has the figures and what they mean.
"""
