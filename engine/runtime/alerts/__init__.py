"""Alerts: what needs a person, raised once, cleared once, acknowledged with a reason, delivered outside."""
