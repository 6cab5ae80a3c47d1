"""The resolutions of bars, buckets and values, the finest first."""

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US

STEP_US = {"5m": 5 * MINUTE_US, "1h": HOUR_US, "1d": DAY_US}  # as a rule: a day may have 21 to 27 hours
RESOLUTIONS = tuple(STEP_US)
FINEST = RESOLUTIONS[0]
COARSEST_FIRST = RESOLUTIONS[::-1]
SPOT = "spot"  # what a price or rate of one instant says instead
OBSERVED = (*RESOLUTIONS, SPOT)  # all that an observation may say
SPOT_TOLERANCE_US = {"5m": 2 * MINUTE_US, "1h": 5 * MINUTE_US, "1d": 5 * MINUTE_US}  # after it
