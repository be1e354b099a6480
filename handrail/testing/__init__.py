"""Public: fakes and contract suites for those who build on Handrail."""
