"""Benchmarks: what the library costs, as ratios against named baselines. Run them with `python -m benchmarks`."""
