"""Pure values and laws: money, instants, transactions, reasons, digest. No I/O, no clock, no database."""
