"""The whole engine through a day under a clock of the test's own, with seeded faults."""
