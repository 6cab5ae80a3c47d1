"""What opens over a screen and goes away with esc."""
