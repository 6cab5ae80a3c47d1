"""Which navdeck this is: to read it from the metadata of the package takes longer than to answer `status`."""

VERSION = "0.1.0"
