"""Fuzz targets for every decoder of the package; see CONTRIBUTING.md.

A target takes any bytes and lets through only what the decoder documents. It also states laws: what was
accepted encodes to the same bytes. `targets.TARGETS` has them all by name; the corpus of each is kept in
``corpus/<name>/`` and replayed by the tests.
"""
