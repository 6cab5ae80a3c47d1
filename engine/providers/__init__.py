"""Prices and rates from outside: one adapter a provider behind one protocol, and the one way to call them."""
