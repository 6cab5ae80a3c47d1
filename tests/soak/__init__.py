"""The real engine under load for as long as a clock on the wall takes."""
