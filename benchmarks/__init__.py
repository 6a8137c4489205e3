"""Speed of every kernel beside its peers; see docs/benchmarks.md."""
